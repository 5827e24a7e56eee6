"""What the consuming connection keeps and lets go while its consumers begin, end, or lose the broker."""

from types import SimpleNamespace

import pytest

from lib.queue_consumer import QueueConsumer


class Consumer:
    """Stands where kombu's is."""

    def __init__(self, queues, on_message, accept):
        self.deliver = on_message
        self.cancelled = False

    def qos(self, prefetch_count):
        assert prefetch_count == 10

    def cancel(self):
        self.cancelled = True


class Provider:
    def __init__(self, queue):
        self.queue = SimpleNamespace(name=queue)
        self.got = []

    def handle_message(self, body, message):
        self.got.append(message)


class Container:
    """SimpleNamespace takes no weak references."""

    def __init__(self):
        self.config = {"AMQP_URI": "amqp://"}
        self.shared_extensions = {}
        self.accept, self.max_workers = ["json"], 10

    def spawn_message(self, provider, body, message):
        provider.handle_message(body, message)


def message():
    """One that was delivered on a channel that is open."""
    return SimpleNamespace(
        channel=SimpleNamespace(connection=object()),
        delivery_tag=1,
        unreadable=None,
        body=b"{}",
        decode=dict,
    )


@pytest.fixture
def container():
    return Container()


@pytest.fixture
def providers():
    return [Provider("rpc-probe_svc"), Provider("evt-source_svc")]


@pytest.fixture
def consumer(container, providers):
    bound = QueueConsumer().bind(container)
    bound.setup()
    for each in providers:
        bound.register_provider(each)
    return bound


def test_what_is_delivered_while_other_consumers_still_begin_stays_in_its_handlers_hands(consumer, providers):
    """A handler that fails at once would give its event back else, and each time counts as a delivery."""
    made = consumer.get_consumers(Consumer, SimpleNamespace())
    early = message()
    made[0].deliver(early)
    assert not consumer.consuming
    assert consumer.keeps(early)
    assert [got for each in providers for got in each.got] == [early]


def test_what_the_broker_has_back_does_not(consumer):
    """It goes out again: whoever keeps its old copy as well makes two of it."""
    lost = message()
    lost.channel.connection = None
    assert not consumer.keeps(lost)
    assert not consumer.keeps(SimpleNamespace(channel=None))


def test_a_service_that_ends_keeps_nothing(consumer, providers):
    consumer.unregister_provider(providers[0])
    assert not consumer.keeps(message())


def test_whose_consumer_was_just_beginning_when_it_left_is_delivered_nothing_more(consumer, providers):
    consumer.get_consumers(Consumer, SimpleNamespace())
    by_provider = dict(consumer._consumers)
    leaving, staying = providers
    consumer.unregister_provider(leaving)
    consumer.on_consume_ready(None, None, None)
    consumer.on_iteration()
    assert by_provider[leaving].cancelled
    assert not by_provider[staying].cancelled
    assert not consumer.should_stop
    consumer.unregister_provider(staying)
    consumer.on_iteration()
    assert by_provider[staying].cancelled
    assert consumer.should_stop
