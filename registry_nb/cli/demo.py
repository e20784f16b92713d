"""The main job on the embedded default: ``registry-nb demo [FOLDER]``.

Trains on iris, registers three versions, stages, promotes, loads by stage and predicts, rolls back, and shows the
history. It tells what it does; run it again, and it goes on from where the last one stopped.
"""

from __future__ import annotations

from registry_nb import Registry, Stage

NAME = "IrisClassifier"


def demo(folder: str | None) -> None:
    """Run the story in a registry."""
    registry = Registry(folder)
    print(f"Registry: {registry.uri} (as {registry.user})")

    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    X, y = load_iris(return_X_y=True)  # noqa: N806  # scikit-learn's own names
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)  # noqa: N806
    candidates = {
        "a first forest": RandomForestClassifier(n_estimators=20, random_state=42),
        "more trees": RandomForestClassifier(n_estimators=100, random_state=42),
        "simpler, and as good": LogisticRegression(max_iter=500),
    }
    print("\nTrain and register")
    numbers = []
    for because, model in candidates.items():
        accuracy = model.fit(X_train, y_train).score(X_test, y_test)
        version = registry.register(
            model, NAME, example=X_test[:5], metrics={"accuracy": accuracy}, params=model.get_params(), because=because
        )
        numbers.append(version.version)
        print(f"  version {version.version}: {type(model).__name__}, accuracy {accuracy:.3f}, {version.size:,} bytes")

    first, second, third = numbers
    print("\nStage, promote")
    registry.transition(NAME, third, Stage.STAGING, because="to be tested")
    registry.promote(NAME, first, because="the first that is good enough")
    registry.promote(NAME, second, because="better on holdout")
    for holder in registry.model(NAME).latest_versions:
        print(f"  {holder.stage}: version {holder.version}")

    print("\nLoad by stage and predict")
    for stage in (Stage.PRODUCTION, Stage.STAGING):
        loaded = registry.load(f"models:/{NAME}/{stage}")
        print(f"  {loaded}: {[int(label) for label in loaded.predict(X_test[:10])]}")

    print("\nRoll back")
    restored = registry.rollback(NAME, because="complaints from the greenhouse")
    print(f"  Production: {second} -> {restored.version}")

    print("\nHistory")
    for event in registry.history(NAME, limit=9):
        moved = f"{event.from_stage or 'new'} -> {event.to_stage or ''}"
        at = f"{event.at.astimezone():%H:%M:%S}"
        print(f"  {at} {event.user} {event.action:<12} version {event.version}  {moved:<24} {event.because}")

    report = registry.check()
    problems = "; ".join(report.problems) or "no problems found"
    print(f"\nCheck: {report.versions} versions, {report.events} events, {report.files} files: {problems}")
