"""Several kernels at once, as real processes."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import registry_nb as rn

ROOT = Path(__file__).parents[2]


def together(python, script, arguments):
    """Run a script once for each tuple of arguments, all at the same time; what each printed, as JSON."""
    with ThreadPoolExecutor(len(arguments)) as pool:
        return [json.loads(text) for text in pool.map(lambda each: python(script, *each), arguments)]


def test_first_use_by_several_processes_at_once(python, tmp_path):
    script = """
        import json, sys
        import registry_nb as rn
        registry = rn.Registry(sys.argv[1], user=sys.argv[2])
        number = int(sys.argv[2])
        print(json.dumps([registry.register(lambda X: [number for _ in X], "Iris").version for _ in range(5)]))
    """
    found = together(python, script, [(tmp_path / "new", number) for number in range(4)])
    assert sorted(number for numbers in found for number in numbers) == list(range(1, 21))
    registry = rn.Registry(tmp_path / "new")
    assert [v.version for v in registry.versions("Iris")] == list(range(1, 21))
    for version in registry.versions("Iris"):
        assert registry.load(version.uri).predict([0]) == [int(version.user)]
    assert registry.check().ok


def test_of_two_kernels_that_expect_the_same_holder_one_wins(iris):
    """Both say what they believe, wait for the start signal, and promote at once."""
    script = """
        import sys
        import registry_nb as rn
        registry = rn.Registry(sys.argv[1], user=sys.argv[2])
        holder = registry.version("Iris", "Production").version
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            print(registry.promote("Iris", int(sys.argv[2]), expected=holder).version)
        except rn.Conflict as error:
            print("Conflict", *error.found)
    """
    import textwrap

    for _ in range(3):
        with ThreadPoolExecutor(2):
            kernels = [
                subprocess.Popen(
                    [sys.executable, "-c", textwrap.dedent(script), iris.uri, number],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=ROOT,
                )
                for number in ("1", "3")
            ]
        assert [kernel.stdout.readline() for kernel in kernels] == ["ready\n", "ready\n"]
        before = len(iris.history("Iris"))
        for kernel in kernels:
            kernel.stdin.write("go\n")
            kernel.stdin.flush()
        answers = [kernel.communicate(timeout=300)[0].strip() for kernel in kernels]
        winner = iris.version("Iris", "Production").version
        assert sorted(answers) == sorted([str(winner), f"Conflict {winner}"])
        assert [e.action for e in iris.history("Iris")[before:]] == ["archived", "promoted"], "the other wrote nothing"
        iris.promote("Iris", 2)
    assert iris.check().ok


def test_another_kernels_change_is_seen_at_once(iris, python):
    script = """
        import sys
        import registry_nb as rn
        print(rn.Registry(sys.argv[1], user="bob").promote("Iris", "3", because="from elsewhere").version)
    """
    assert iris.version("Iris", "Production").version == 2
    assert python(script, iris.uri) == "3\n"
    assert iris.version("Iris", "Production").version == 3
    assert iris.history("Iris")[-1].user == "bob"


def test_the_garbage_collector_stays_off_where_somebody_had_turned_it_off():
    import gc

    from registry_nb.stores import bulk

    gc.disable()
    try:
        with bulk.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
    with bulk.paused():
        assert not gc.isenabled()
    assert gc.isenabled()
