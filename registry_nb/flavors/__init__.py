"""How models become files and files become models: one module a framework, with the functions of `Flavor`."""

from registry_nb.flavors.catalog import FILES, MLFLOW, flavor_named, flavor_of
from registry_nb.flavors.files import EXPANSION, SMALL, Files, parsed
from registry_nb.flavors.port import Flavor

__all__ = ["EXPANSION", "FILES", "MLFLOW", "SMALL", "Files", "Flavor", "flavor_named", "flavor_of", "parsed"]
