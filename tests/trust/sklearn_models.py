"""What people really register: 28 models of scikit-learn, and why those that do not load restricted do not.

Each entry is a model, data to fit it, data to predict, and a part of the reason of the refusal, or None.
"""

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import DBSCAN, KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, RepeatedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

X, y = load_iris(return_X_y=True)
FLOWERS = X, y
LENGTHS = X[:, :3], X[:, 3]
TEXTS = ["a fine day", "a grey day", "fine wine", "grey cloud"] * 5, [1, 0, 1, 0] * 5
FRAME = pd.DataFrame({"width": X[:, 1], "length": X[:, 0], "colour": np.where(X[:, 2] > 2, "blue", "white")}), y
FRAME[0].loc[3, "width"] = np.nan
CATEGORIES = FRAME[0].assign(colour=FRAME[0]["colour"].astype("category")), y


def columns():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer([("n", numbers, ["width", "length"]), ("c", OneHotEncoder(), ["colour"])])


def xgboost():
    from xgboost import XGBClassifier

    return make_pipeline(StandardScaler(), XGBClassifier(n_estimators=3))


def lightgbm():
    from lightgbm import LGBMClassifier

    return make_pipeline(StandardScaler(), LGBMClassifier(n_estimators=3, verbose=-1))


def forest():
    return RandomForestClassifier(n_estimators=10, random_state=0)


def logistic():
    return LogisticRegression(max_iter=1000)


COMPOSITES = {
    "LogisticRegression in a pipeline": (lambda: make_pipeline(StandardScaler(), logistic()), FLOWERS, None),
    "ColumnTransformer, LogisticRegression": (lambda: make_pipeline(columns(), logistic()), FRAME, None),
    "RandomForestClassifier": (forest, FLOWERS, None),
    "ColumnTransformer, RandomForest": (lambda: make_pipeline(columns(), forest()), FRAME, None),
    "DecisionTreeClassifier": (lambda: DecisionTreeClassifier(random_state=0), FLOWERS, None),
    "GradientBoostingClassifier": (lambda: GradientBoostingClassifier(n_estimators=5), FLOWERS, None),
    "HistGradientBoostingClassifier": (lambda: HistGradientBoostingClassifier(max_iter=5), FLOWERS, None),
    "HistGradientBoosting with categories": (
        lambda: HistGradientBoostingClassifier(max_iter=5), CATEGORIES, "functools:partial"),
    "IsolationForest": (lambda: IsolationForest(n_estimators=10, random_state=0), FLOWERS, None),
    "VotingClassifier": (lambda: VotingClassifier([("l", logistic()), ("f", forest())], voting="soft"), FLOWERS, None),
    "StackingClassifier": (lambda: StackingClassifier([("f", forest())], logistic(), cv=2), FLOWERS, None),
    "GridSearchCV": (lambda: GridSearchCV(logistic(), {"C": [0.1, 1.0]}, cv=2, scoring="accuracy"), FLOWERS, None),
    "GridSearchCV with RepeatedKFold": (
        lambda: GridSearchCV(logistic(), {"C": [1.0]}, cv=RepeatedKFold(n_splits=2, n_repeats=1)), FLOWERS,
        "RepeatedKFold"),
    "KNeighborsClassifier": (KNeighborsClassifier, FLOWERS, None),
    "CalibratedClassifierCV of SVC": (
        lambda: make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(), cv=2)), FLOWERS, None),
    "SVC": (SVC, FLOWERS, None),
    "MLPClassifier": (lambda: MLPClassifier((8,), max_iter=2000, random_state=0), FLOWERS, None),
    "TransformedTargetRegressor": (
        lambda: TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1), LENGTHS, None),
    "FeatureUnion": (
        lambda: make_pipeline(FeatureUnion([("p", PCA(2)), ("s", StandardScaler())]), logistic()), FLOWERS, None),
    "set_output pandas": (
        lambda: make_pipeline(StandardScaler().set_output(transform="pandas"), forest()), FLOWERS, None),
    "TfidfVectorizer, SGDClassifier": (
        lambda: make_pipeline(TfidfVectorizer(), SGDClassifier(random_state=0)), TEXTS, None),
    "KMeans": (lambda: make_pipeline(PCA(2), KMeans(3, random_state=0, n_init=1)), FLOWERS, None),
    "GaussianProcessRegressor": (
        lambda: GaussianProcessRegressor(RBF() + WhiteKernel(), random_state=0), LENGTHS, None),
    "DBSCAN": (DBSCAN, FLOWERS, None),
    "FunctionTransformer(np.log1p)": (lambda: make_pipeline(FunctionTransformer(np.log1p), logistic()), FLOWERS, None),
    "FunctionTransformer(lambda)": (
        lambda: make_pipeline(FunctionTransformer(lambda X: X * 2), logistic()), FLOWERS, "code of its own"),
    "XGBoost in a pipeline": (xgboost, FLOWERS, "a model of XGBoost"),
    "LightGBM in a pipeline": (lightgbm, FLOWERS, "a model of LightGBM"),
}  # fmt: skip


def outcome(model, data):
    """Predict, with probabilities where there are any."""
    found = [model.predict(data) if hasattr(model, "predict") else model.labels_]
    return [*found, model.predict_proba(data)] if hasattr(model, "predict_proba") else found
