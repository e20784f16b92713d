

def _answers(sides: list[_Side], part: Any, start: int, stop: int) -> tuple[bool, Any, pd.DataFrame] | None:
    """Return the rows that both answer: whether with labels, which, and what; None if there are none."""
    import pandas as pd

    turn = sides if start == 0 or (start // (stop - start)) % 2 == 0 else sides[::-1]  # who is first warms the caches
    told = {id(side): side.answers(part, start, stop) for side in turn}
    values, answered = zip(*(told[id(side)] for side in sides), strict=True)
    both = answered[0] & answered[1]
    if not both.any():
        return None
    kinds = [agreement.kind(side.model, found) for side, found in zip(sides, values, strict=True)]
    if len(set(kinds) - {None}) > 1:
        told_apart = ", ".join(f"{side.record.uri} is a {one}" for side, one in zip(sides, kinds, strict=True))
        raise Invalid(f"{told_apart}; what they answer cannot be compared")
    labelled = agreement.REGRESSOR not in kinds
    which = slice(None) if both.all() else both
    common = (one if one is None or both.all() else one[both[mask]] for one, mask in zip(values, answered, strict=True))
    columns = dict(zip("ab", common, strict=True))
    if not labelled:
        columns = {name: _floats(one, side.record.uri) for (name, one), side in zip(columns.items(), sides, strict=True)}
    return labelled, which, pd.DataFrame(columns, index=pd.RangeIndex(start, stop)[which], copy=False)


def _checked(frame: pd.DataFrame, tally: Labels | Numbers, sides: list[_Side]) -> None:
    """Look whether answers and truth are of one kind."""
    truth = frame["truth"] if "truth" in frame else None
    if truth is not None and (missing := truth.isna()).any():
        raise Invalid(
            f"y has no value in row {frame.index[missing.to_numpy()][0]:,} (rows are counted from 0); leave such rows out"
        )
    if isinstance(tally, Numbers):
        if "truth" in frame:
            frame["truth"] = _floats(frame["truth"].to_numpy(), "y")
        return
    told = {side.record.uri: agreement.family(frame[name].array) for name, side in zip("ab", sides, strict=True)}
    told |= {} if truth is None else {"y": agreement.family(truth.array)}
    if len(set(told.values())) > 1:
        what = ", ".join(f"{title} has {family}" for title, family in told.items())
        raise Invalid(f"labels of different types are never equal: {what}")


def _floats(values: Any, what: str) -> Any:
    import numpy as np

    try:
        found = values.astype(float, copy=False)
    except (TypeError, ValueError) as error:
        raise Invalid(f"{what} gives values that are no numbers, where numbers are compared") from error
    if not np.isfinite(found).all():
        raise Invalid(f"{what} has a value that is not finite; leave such rows out")
    return found
