"""``autolog()``: trainings log themselves, as in MLflow."""
