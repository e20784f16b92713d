"""One writer at a time: stale files, holders that hang, forks, threads, and the interrupt button."""

import functools
import gc
import os
import signal
import sys
import threading
import time

import pytest

from registry_nb.errors import LockTimeout, Refused, StorageError
from registry_nb.stores import disk, format, journal_file
from registry_nb.stores import lock as locks
from registry_nb.stores.journal import Journal
from registry_nb.stores.lock import Shield

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


#: A process that enters a transaction, tells, and stays inside.
HOLDER = """if 1:
    import sys
    from registry_nb.stores.journal import Journal
    with Journal(sys.argv[1]).transaction() as journal:
        journal.overlay("t")[2] = {}
        print("inside", flush=True)
        sys.stdin.read()
"""


def put(journal, number, doc=None, table="t"):
    with journal.transaction():
        journal.overlay(table)[number] = doc or {}


def numbers(path):
    return sorted(Journal(path).docs("t"))


def descriptors():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.fixture
def in_child():
    """Run a function in a forked child; its failure is the test's."""
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")

    def run(work):
        child = os.fork()
        if not child:
            status = 1
            try:
                work()
                status = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert status == 0, "the child failed; its traceback is above"

    return run


# -- the file


def test_a_lock_file_that_somebody_left_locks_nobody_out(path):
    with open(f"{path}.lock", "w", encoding="utf-8") as file:
        file.write("pid 12345 of a machine that is no more")
    put(Journal(path, lock_timeout=0.2), 1)
    assert numbers(path) == [1]


def test_a_lock_file_that_somebody_removes_splits_no_writers(path):
    one, two = Journal(path, lock_timeout=0.1), Journal(path, lock_timeout=0.1)
    put(one, 1)
    put(two, 2)
    os.unlink(f"{path}.lock")
    with one.transaction(), pytest.raises(Refused), two.transaction():
        pytest.fail("one writer at a time")
    put(two, 3)
    assert numbers(path) == [1, 2, 3]


def test_a_holder_that_hangs_is_waited_for_no_longer_than_the_time_limit(path, process):
    put(Journal(path), 1)
    holder = process(HOLDER, path)
    assert holder.stdout.readline() == "inside\n"
    waiting = Journal(path, lock_timeout=0.2)
    with pytest.raises(LockTimeout, match=r"0\.2 s.*reading still works") as caught, waiting.transaction():
        pytest.fail("one writer at a time")
    assert isinstance(caught.value, TimeoutError)
    assert numbers(path) == [1], "reading works, and half a transaction is not seen"
    holder.kill()
    holder.wait()
    put(waiting, 3)
    assert numbers(path) == [1, 3], "the kernel gave the lock of the killed process back"


def test_a_thread_that_hangs_is_waited_for_no_longer_than_the_time_limit(path):
    journal = Journal(path, lock_timeout=0.2)
    inside, leave = threading.Event(), threading.Event()

    def hang():
        with journal.transaction():
            inside.set()
            leave.wait()
            journal.overlay("t")[1] = {}

    thread = threading.Thread(target=hang)
    thread.start()
    inside.wait()
    with pytest.raises(LockTimeout), journal.transaction():
        pytest.fail("one writer at a time")
    leave.set()
    thread.join()
    put(journal, 2)
    assert numbers(path) == [1, 2]


def test_a_failure_after_the_kernel_gave_the_lock_gives_it_back(path, monkeypatch):
    journal = Journal(path)
    put(journal, 1)
    before = descriptors()
    monkeypatch.setattr(locks.FileLock, "_is_current", lambda self: (_ for _ in ()).throw(PermissionError(13, "no")))
    for _ in range(3):
        with pytest.raises(StorageError), journal.transaction():
            pytest.fail("it should have failed")
    monkeypatch.undo()
    put(Journal(path, lock_timeout=0.2), 2)
    put(journal, 3)
    assert numbers(path) == [1, 2, 3]
    assert descriptors() <= before + 1


def test_closing_inside_a_transaction_lets_nobody_in(path):
    journal = Journal(path)
    with journal.transaction():
        journal.close()
        with pytest.raises(Refused), Journal(path, lock_timeout=0.1).transaction():
            pytest.fail("one writer at a time")
        journal.overlay("t")[1] = {}
    journal.close()
    put(journal, 2)
    assert numbers(path) == [1, 2]


# -- forks


def test_closing_inside_a_transaction_waits_for_its_end(path, monkeypatch):
    monkeypatch.setattr(journal_file, "WORTH", 1)  # what an index covers is in the file, which closing forgets
    journal = Journal(path)
    put(journal, 1)
    with journal.transaction():
        journal.overlay("t")[2] = {}
        journal.close()
        assert list(journal.docs("t")) == [1, 2]
    journal.close()
    assert numbers(path) == [1, 2]


def test_nothing_is_repaired_inside_a_transaction_which_would_take_the_file_for_a_new_one(path):
    journal = Journal(path)
    put(journal, 1)
    with journal.transaction():
        journal.overlay("t")[2] = {}
        with pytest.raises(StorageError, match="is not repaired inside a transaction; end it first"):
            journal.repair()
    assert numbers(path) == [1, 2]


def test_a_thread_that_would_wait_for_itself_is_refused_at_once(path, in_child):
    journal, another = Journal(path), Journal(path, lock_timeout=1000)
    with journal.transaction():
        journal.overlay("t")[1] = {}
        with pytest.raises(Refused, match="changing the registry by another object already: use the one that has"):
            put(another, 2)

        def child():
            brief = Journal(path, lock_timeout=0)
            with pytest.raises(LockTimeout):  # it is another process that waits
                put(brief, 3)

        in_child(child)
    put(another, 2)
    assert numbers(path) == [1, 2]


def test_a_child_that_was_forked_after_opening_works_beside_its_parent(path, in_child):
    journal = Journal(path, lock_timeout=2)
    put(journal, 1)

    def work():
        put(journal, 2)
        assert sorted(journal.docs("t")) == [1, 2]

    in_child(work)
    put(journal, 3)
    assert sorted(journal.docs("t")) == numbers(path) == [1, 2, 3]


def test_a_child_that_was_forked_inside_a_transaction_commits_nothing_and_unlocks_nothing(path, in_child):
    journal = Journal(path, lock_timeout=2)
    put(journal, 1)

    def work():
        assert sorted(journal.docs("t")) == [1], "it sees what is committed"
        with pytest.raises(StorageError, match="outside a transaction"):
            journal.overlay("t")[9] = {}
        with pytest.raises(LockTimeout), Journal(path, lock_timeout=0.1).transaction():
            pytest.fail("the parent is inside")

    with journal.transaction():
        journal.overlay("t")[2] = {}
        in_child(work)
        journal.overlay("t")[3] = {}
    assert numbers(path) == [1, 2, 3]


@forks
def test_a_child_that_leaves_the_transaction_it_was_forked_in_is_refused(path):
    journal = Journal(path, lock_timeout=2)
    put(journal, 1)
    child = None
    try:
        with journal.transaction():
            journal.overlay("t")[2] = {}
            child = os.fork()
            if child:
                _, status = os.waitpid(child, 0)
                assert numbers(path) == [1]
    except StorageError as error:
        if not child:
            os._exit(42 if "forked inside a transaction" in str(error) else 1)
        raise
    finally:
        if child == 0:
            os._exit(2)
    assert os.waitstatus_to_exitcode(status) == 42
    assert numbers(path) == [1, 2]


def test_a_journal_that_is_forgotten_keeps_no_descriptor(path):
    put(Journal(path), 1)
    gc.collect()
    before = descriptors()
    for number in range(5):
        put(Journal(path), number + 2)
    assert descriptors() == before


@forks
def test_a_child_that_was_forked_while_another_thread_was_writing_reads_the_whole_truth(path, in_child):
    journal = Journal(path, lock_timeout=2)
    put(journal, 1)
    inside, leave = threading.Event(), threading.Event()

    def hang():
        with journal.transaction():
            journal.overlay("t")[2] = {}
            inside.set()
            leave.wait()

    thread = threading.Thread(target=hang)
    thread.start()
    inside.wait()
    try:
        in_child(lambda: numbers_of(journal, [1]))
    finally:
        leave.set()
        thread.join()
    in_child(lambda: numbers_of(journal, [1, 2]))


def numbers_of(journal, wanted):
    assert sorted(journal.docs("t")) == wanted


# -- the interrupt button


@pytest.fixture
def interrupts():
    """Interrupts raise KeyboardInterrupt, as in a notebook, whatever started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def at(monkeypatch, module, name, act):
    real = getattr(module, name)

    def acting(*arguments, **options):
        act()
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, acting)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name"), [(os, "write"), (disk, "sync"), (format, "sealed"), (os, "dup"), (os, "close")]
)
def test_an_interrupt_in_the_middle_of_a_commit_comes_after_it(path, monkeypatch, interrupts, module, name):
    journal = Journal(path)
    put(journal, 1)
    gc.collect()
    before = descriptors()
    with monkeypatch.context() as patch:
        at(patch, module, name, interrupts)
        with pytest.raises(KeyboardInterrupt):
            put(journal, 2)
    assert numbers(path) == [1, 2]
    put(Journal(path, lock_timeout=0.2), 3)
    assert descriptors() == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_in_the_callers_code_comes_at_once_and_undoes_the_transaction(path, interrupts):
    journal = Journal(path)
    put(journal, 1)
    with pytest.raises(KeyboardInterrupt), journal.transaction():
        journal.overlay("t")[2] = {}
        interrupts()
        pytest.fail("it comes at once")
    assert sorted(journal.docs("t")) == numbers(path) == [1]
    put(Journal(path, lock_timeout=0.2), 3)


def test_an_interrupt_in_our_own_code_comes_at_the_end_of_the_savepoint_and_not_only_of_the_transaction(
    path, interrupts
):
    journal, done = Journal(path), []
    ours = eval(compile("lambda act: act()", sys.modules[Journal.__module__].__file__, "eval"))
    put(journal, 1)
    with pytest.raises(KeyboardInterrupt), journal.transaction():
        with journal.transaction():
            journal.overlay("t")[2] = {}
            ours(functools.partial(signal.raise_signal, signal.SIGINT))
            done.append("the savepoint")
        done.append("the transaction")
    assert done == ["the savepoint"]
    assert sorted(journal.docs("t")) == numbers(path) == [1]
    put(Journal(path, lock_timeout=0.2), 3)


def test_an_interrupt_in_our_own_code_comes_at_the_next_question_of_a_transaction_that_only_reads(path, interrupts):
    journal, done = Journal(path), []
    ours = eval(compile("lambda act: act()", sys.modules[Journal.__module__].__file__, "eval"))
    put(journal, 1)
    with pytest.raises(KeyboardInterrupt), journal.transaction():
        journal.overlay("t")[2] = {}
        ours(functools.partial(signal.raise_signal, signal.SIGINT))
        done.append("the answer")
        journal.docs("t")
        done.append("another answer")
    assert done == ["the answer"]
    assert sorted(journal.docs("t")) == numbers(path) == [1]
    put(Journal(path, lock_timeout=0.2), 3)


def test_an_interrupt_in_the_middle_of_a_compaction_comes_after_it(path, monkeypatch, interrupts):
    journal = Journal(path)
    put(journal, 1)
    before = descriptors()
    for module, name in ((os, "fdopen"), (os, "replace"), (disk, "sync_folder"), (disk, "remove_drafts")):
        with monkeypatch.context() as patch:
            at(patch, module, name, interrupts)
            with pytest.raises(KeyboardInterrupt):
                journal.compact()
        assert sorted(journal.docs("t")) == numbers(path) == [1]
        assert sorted(os.listdir(os.path.dirname(path))) == ["registry.jsonl", "registry.jsonl.lock"]
    assert descriptors() < before, "that of the replaced file was let go"


def test_an_interrupt_while_reading_comes_when_the_memory_is_whole(path, monkeypatch, interrupts):
    put(Journal(path), 1)
    put(Journal(path), 2)
    journal = Journal(path)
    with monkeypatch.context() as patch:
        at(patch, format, "intact_end", interrupts)
        with pytest.raises(KeyboardInterrupt):
            journal.docs("t")
    assert sorted(journal._contents.tables["t"].docs) == [1, 2]
    assert sorted(journal.docs("t")) == [1, 2]


def test_an_interrupt_ends_the_wait_for_the_lock(path, monkeypatch, interrupts, process):
    journal = Journal(path, lock_timeout=60)
    put(journal, 1)
    holder = process(HOLDER, path)
    assert holder.stdout.readline() == "inside\n"
    with monkeypatch.context() as patch:
        at(patch, time, "sleep", interrupts)  # it waits
        with pytest.raises(KeyboardInterrupt), journal.transaction():
            pytest.fail("one writer at a time")
    holder.kill()
    holder.wait()
    put(journal, 2)
    assert numbers(path) == [1, 2]


def test_an_interrupt_is_not_lost_when_the_commit_fails_as_well(path, monkeypatch, interrupts):
    journal = Journal(path)
    put(journal, 1)

    def fail(*_):
        interrupts()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        with pytest.raises(KeyboardInterrupt) as caught:
            put(journal, 2)
    assert isinstance(caught.value.__context__, StorageError)
    assert numbers(path) == [1]


def test_a_shield_inside_a_shield_hands_the_interrupt_on(interrupts):
    reached = []
    with pytest.raises(KeyboardInterrupt), Shield(frozenset({__file__})) as outer:
        with outer.lowered():
            with Shield(frozenset({__file__})):
                interrupts()
                reached.append("inner")
            reached.append("after the inner one, still in code that is shielded")
        reached.append("outer")
    assert len(reached) == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_ignores_interrupts_or_is_not_the_main_thread_is_left_alone():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Shield(frozenset()):
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        seen = []
        signal.signal(signal.SIGINT, signal.default_int_handler)

        def work():
            with Shield(frozenset()):
                seen.append(signal.getsignal(signal.SIGINT))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [signal.default_int_handler]
    finally:
        signal.signal(signal.SIGINT, before)
    assert sys.exc_info() == (None, None, None)
