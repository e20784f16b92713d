# The public names and the module of each: `__init__.py` imports them on first use.

__version__: str

from . import (
    artifacts as artifacts,
)
from . import (
    catboost as catboost,
)
from . import (
    client as client,
)
from . import (
    entities as entities,
)
from . import (
    exceptions as exceptions,
)
from . import (
    h2o as h2o,
)
from . import (
    keras as keras,
)
from . import (
    lightgbm as lightgbm,
)
from . import (
    models as models,
)
from . import (
    onnx as onnx,
)
from . import (
    pmdarima as pmdarima,
)
from . import (
    prophet as prophet,
)
from . import (
    pyfunc as pyfunc,
)
from . import (
    pytorch as pytorch,
)
from . import (
    sentence_transformers as sentence_transformers,
)
from . import (
    sklearn as sklearn,
)
from . import (
    spacy as spacy,
)
from . import (
    spark as spark,
)
from . import (
    statsmodels as statsmodels,
)
from . import (
    tensorflow as tensorflow,
)
from . import (
    tracking as tracking,
)
from . import (
    transformers as transformers,
)
from . import (
    types as types,
)
from . import (
    xgboost as xgboost,
)
from .autologging.switching import (
    autolog as autolog,
)
from .exceptions import (
    MlflowException as MlflowException,
)
from .tracking.client import (
    MlflowClient as MlflowClient,
)
from .tracking.file_functions import (
    get_artifact_uri as get_artifact_uri,
)
from .tracking.file_functions import (
    load_table as load_table,
)
from .tracking.file_functions import (
    log_artifact as log_artifact,
)
from .tracking.file_functions import (
    log_artifacts as log_artifacts,
)
from .tracking.file_functions import (
    log_dict as log_dict,
)
from .tracking.file_functions import (
    log_figure as log_figure,
)
from .tracking.file_functions import (
    log_image as log_image,
)
from .tracking.file_functions import (
    log_table as log_table,
)
from .tracking.file_functions import (
    log_text as log_text,
)
from .tracking.fluent import (
    ActiveRun as ActiveRun,
)
from .tracking.fluent import (
    active_run as active_run,
)
from .tracking.fluent import (
    create_experiment as create_experiment,
)
from .tracking.fluent import (
    delete_experiment as delete_experiment,
)
from .tracking.fluent import (
    delete_experiment_tag as delete_experiment_tag,
)
from .tracking.fluent import (
    delete_run as delete_run,
)
from .tracking.fluent import (
    delete_tag as delete_tag,
)
from .tracking.fluent import (
    end_run as end_run,
)
from .tracking.fluent import (
    get_experiment as get_experiment,
)
from .tracking.fluent import (
    get_experiment_by_name as get_experiment_by_name,
)
from .tracking.fluent import (
    get_parent_run as get_parent_run,
)
from .tracking.fluent import (
    get_run as get_run,
)
from .tracking.fluent import (
    last_active_run as last_active_run,
)
from .tracking.fluent import (
    log_metric as log_metric,
)
from .tracking.fluent import (
    log_metrics as log_metrics,
)
from .tracking.fluent import (
    log_param as log_param,
)
from .tracking.fluent import (
    log_params as log_params,
)
from .tracking.fluent import (
    restore_experiment as restore_experiment,
)
from .tracking.fluent import (
    restore_run as restore_run,
)
from .tracking.fluent import (
    search_experiments as search_experiments,
)
from .tracking.fluent import (
    search_runs as search_runs,
)
from .tracking.fluent import (
    set_experiment as set_experiment,
)
from .tracking.fluent import (
    set_experiment_tag as set_experiment_tag,
)
from .tracking.fluent import (
    set_experiment_tags as set_experiment_tags,
)
from .tracking.fluent import (
    set_tag as set_tag,
)
from .tracking.fluent import (
    set_tags as set_tags,
)
from .tracking.fluent import (
    start_run as start_run,
)
from .tracking.registering import (
    register_model as register_model,
)
from .tracking.registering import (
    search_model_versions as search_model_versions,
)
from .tracking.registering import (
    search_registered_models as search_registered_models,
)
from .tracking.registering import (
    set_model_version_tag as set_model_version_tag,
)
from .tracking.uris import (
    get_registry_uri as get_registry_uri,
)
from .tracking.uris import (
    get_tracking_uri as get_tracking_uri,
)
from .tracking.uris import (
    is_tracking_uri_set as is_tracking_uri_set,
)
from .tracking.uris import (
    set_registry_uri as set_registry_uri,
)
from .tracking.uris import (
    set_tracking_uri as set_tracking_uri,
)
