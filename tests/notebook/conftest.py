"""A notebook without a browser: IPython's shell in this process, with a model in it."""

import pytest
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets import Widget

import registry_nb as rn


class Notebook:
    """Runs cells, and keeps what each would show."""

    def __init__(self, shell):
        self.shell = shell
        self.published = []
        shell.display_pub.publish = lambda data, **_: self.published.append(data)

    def run(self, cell):
        """Run a cell; return the value of its last line, or raise what it raised."""
        self.published.clear()
        result = self.shell.run_cell(cell)
        if result.error_in_exec or result.error_before_exec:
            raise result.error_in_exec or result.error_before_exec
        return result.result

    def fails(self, cell, kind):
        """Run a cell that must fail; return the sentence, and what the notebook would print."""
        with pytest.raises(kind) as raised:
            self.run(cell)
        rendered = getattr(raised.value, "_render_traceback_", lambda: [str(raised.value)])()
        return str(raised.value), rendered

    def shown(self, value):
        """The mimebundle of a value."""
        return self.shell.display_formatter.format(value)[0]


@pytest.fixture
def notebook(tmp_path, monkeypatch, fitted):
    monkeypatch.setenv("REGISTRY_NB_USER", "ada")
    monkeypatch.setattr(HistoryManager, "enabled", False)
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    registry = rn.set_registry(tmp_path / "registry")
    made = Notebook(shell)
    made.registry = registry
    shell.user_ns.update(model=fitted, X=[[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
    shell.run_line_magic("load_ext", "registry_nb")
    yield made
    Widget.close_all()  # a line may have shown a panel, which listens to its registry
    rn.set_registry(None)
    shell.extension_manager.unload_extension("registry_nb")
    InteractiveShell.clear_instance()


@pytest.fixture(scope="session")
def fitted():
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True))
