"""What the tests of shadow comparisons share: two models that answer the same rows."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def answers(registry):
    """Register a model that answers as a function does, row by row."""

    def make(*functions, name="M"):
        for function in functions:
            registry.register(lambda X, function=function: [function(x) for x in X], name)

    return make


@pytest.fixture
def classifiers(registry, flowers):
    """Two fitted classifiers, a frame, and the truth as names."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    X = pd.DataFrame(flowers[0], columns=["a", "b", "c", "d"], index=range(1000, 1150))
    y = pd.Series(np.array(["setosa", "versicolor", "virginica"])[flowers[1]], index=X.index)
    models = LogisticRegression(C=0.01), DecisionTreeClassifier(max_depth=2, random_state=0)
    for model in models:
        registry.register(model.fit(X, y), "Iris", example=X[:5])
    registry.promote("Iris", 1)
    return models, X, y
