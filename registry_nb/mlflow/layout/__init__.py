"""Models in folders of the user's own, in MLflow's layout: MLflow reads what is written here.

`registry_nb.flavors.mlmodel` reads what MLflow writes.
"""
