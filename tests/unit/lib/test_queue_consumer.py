"""What the consuming connection says of itself while its consumers begin, one after the other."""

from types import SimpleNamespace

import pytest

from lib.queue_consumer import QueueConsumer


class Consumer:
    """Stands where kombu's is; like that one it consumes only after all of them have been made."""

    def __init__(self, queues, on_message, accept):
        self.queues = queues

    def qos(self, prefetch_count):
        assert prefetch_count == 10


class Broken(Consumer):
    def qos(self, prefetch_count):
        raise OSError("the broker went away")


class Provider:
    def __init__(self, queue):
        self.queue = SimpleNamespace(name=queue)


class Container:
    """SimpleNamespace takes no weak references."""

    def __init__(self):
        self.config = {"AMQP_URI": "amqp://"}
        self.shared_extensions = {}
        self.accept, self.max_workers = ["json"], 10


@pytest.fixture
def container():
    return Container()


@pytest.fixture
def consumer(container):
    bound = QueueConsumer().bind(container)
    bound.setup()
    for name in ("rpc-probe_svc", "evt-source_svc"):
        bound.register_provider(Provider(name))
    return bound


def test_it_is_consuming_before_the_first_of_its_consumers_can_be_delivered_anything(consumer):
    """A handler that fails at once would give its event back else, and each time counts as a delivery."""
    assert not consumer.consuming
    made = consumer.get_consumers(Consumer, SimpleNamespace())
    assert len(made) == 2
    assert consumer.consuming


def test_it_is_not_consuming_when_its_consumers_could_not_be_made(consumer):
    with pytest.raises(OSError, match="went away"):
        consumer.get_consumers(Broken, SimpleNamespace())
    assert not consumer.consuming
