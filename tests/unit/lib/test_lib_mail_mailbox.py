"""A mail that is sent again takes the place of its first copy: without a look at all the others, whenever the process
ends and whoever sends it at the same time.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from lib.errors import MailUnavailable
from lib.mail import MailboxMailer, Sender

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Note:
    id: str = "1"
    kind: str = "note"
    to: str = "ann@example.com"
    text: str = "first"


class Renderer:
    sender = Sender("Leveret", "mail@example.org")

    def render(self, mail: Note) -> EmailMessage:
        message = EmailMessage()
        message.set_content(mail.text)
        return message


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "some" / "mail"


@pytest.fixture
def mailer(folder):
    return mailer_into(folder)


def mailer_into(folder: Path, *, hour: int = 0) -> MailboxMailer[Note]:
    moments = itertools.count()
    return MailboxMailer(folder, Renderer(), lambda: NOON + timedelta(hours=hour, seconds=next(moments)))


def texts(folder: Path) -> list[str]:
    """Return what stands in the mails, the newest one last, as their readers find them."""
    return [each.read_text().partition("\n\n")[2].strip() for each in sorted(folder.glob("*.eml"))]


class Watch:
    """Sees what this process asks of the operating system, and may end it there. An audit hook cannot be taken off, so
    there is one for all tests.
    """

    def __init__(self) -> None:
        self.see: Callable[[str, tuple[object, ...]], None] | None = None
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.see is not None and (event == "open" or event.startswith("os.")):
            self.see(event, arguments)


@pytest.fixture(scope="module")
def the_watch():
    return Watch()


@pytest.fixture
def watch(the_watch):
    yield the_watch
    the_watch.see = None


IN_PROCESSES_THAT_ARE_KILLED = """
import itertools, json, os, sys
from pathlib import Path
from tests.unit.lib import test_lib_mail_mailbox as the_tests

folder, has_copy = Path(sys.argv[1]), sys.argv[2] == "True"
watch = the_tests.Watch()

def is_killed(mailer, mail, step):
    process = os.fork()
    if not process:
        steps = itertools.count()
        watch.see = lambda event, arguments: next(steps) == step and os._exit(9)
        try:
            mailer.send(mail)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9

for step in itertools.count():
    mailer = the_tests.mailer_into(folder / str(step))
    if has_copy:
        mailer.send(the_tests.Note())
    for tries in range(3):
        killed = is_killed(mailer, the_tests.Note(text="again"), step)
        print(json.dumps([killed, the_tests.texts(folder / str(step))]))
        if not killed:
            sys.exit()
"""


def killed_at_every_step(folder, *, has_copy):
    """Send a mail in processes each of which ends just before its so-manieth call of the operating system, three for
    each call, until one comes to its end. Not from here: Eventlet does not like forks.

    :return: for each process whether it was killed, and what was there then
    """
    command = [sys.executable, "-c", IN_PROCESSES_THAT_ARE_KILLED, str(folder), str(has_copy)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_no_other_mail_is_looked_at(watch, mailer, folder):
    mailer.send(Note())
    seen = []
    watch.see = lambda event, arguments: seen.append((event, str(arguments[0])))
    mailer.send(Note(id="2"))
    mailer.send(Note(text="again"))
    watch.see = None

    assert {"open", "os.rename"} <= {event for event, _ in seen}
    assert not [each for each in seen if each[0] in ("os.scandir", "os.listdir")]
    assert texts(folder) == ["first", "again"]


def test_a_mail_may_be_sent_many_times(mailer, folder):
    mailer.send(Note(id="2", text="other"))
    for number in range(5):
        mailer.send(Note(text=str(number)))

    assert texts(folder) == ["other", "4"]


@pytest.mark.parametrize("has_copy", [False, True])
def test_wherever_a_process_is_killed_there_is_one_copy(folder, has_copy):
    results = killed_at_every_step(folder, has_copy=has_copy)
    assert [killed for killed, _ in results[-2:]] == [True, False]
    assert results[-1][1] == ["again"]
    # Never two, and never none that was there.
    assert all(there == (["first"] if has_copy else []) for killed, there in results if killed)
    # Files and their names: the index, the mail, and its place.
    assert len(results) >= 3 * 3 + 1

    for each in folder.iterdir():
        mailer_into(each, hour=1).send(Note(text="at last"))
        assert texts(each) == ["at last"]
        assert not list(each.rglob("*.part"))


def test_who_sends_one_mail_at_the_same_time_leaves_one_copy(folder):
    mailer = MailboxMailer(folder, Renderer(), lambda: datetime.now(UTC))
    senders = 4
    together = threading.Barrier(senders)

    def send(id):
        together.wait()
        mailer.send(Note(id=id))

    with ThreadPoolExecutor(senders) as pool:
        for number in range(100):
            list(pool.map(send, [str(number)] * senders))

    assert len(texts(folder)) == 100


def test_a_mail_that_its_reader_has_deleted_comes_again(mailer, folder):
    mailer.send(Note())
    (file,) = folder.glob("*.eml")
    file.unlink()
    mailer.send(Note(text="again"))

    assert texts(folder) == ["again"]


def test_what_is_there_is_for_its_owner_only(mailer, folder):
    before = os.umask(0)
    try:
        mailer.send(Note())
        mailer.send(Note(text="again"))
    finally:
        os.umask(before)

    (file,) = folder.glob("*.eml")
    assert file.stat().st_mode & 0o777 == 0o600
    assert (folder / ".index").stat().st_mode & 0o777 == 0o700
    assert not any("again" in each.read_text() for each in (folder / ".index").iterdir())


def test_half_a_name_in_the_index_loses_no_later_one(mailer, folder):
    for _ in range(6):
        mailer.send(Note())
    (index,) = (folder / ".index").iterdir()
    size = index.stat().st_size
    assert size > next(folder.glob("*.eml")).stat().st_size + 20
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
    try:
        with pytest.raises(MailUnavailable, match="File too large"):
            mailer.send(Note(text="never"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert index.stat().st_size == size + 20
    assert texts(folder) == ["first"]

    for text in ("again", "at last"):
        mailer.send(Note(text=text))
        assert texts(folder) == [text]


def test_a_mail_that_the_disk_has_no_place_for_leaves_the_first_copy(mailer, folder):
    mailer.send(Note())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(MailUnavailable, match="File too large"):
            mailer.send(Note(text="again" * 100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert texts(folder) == ["first"]
    assert not list(folder.rglob("*.part"))
    mailer.send(Note(text="again"))

    assert texts(folder) == ["again"]
