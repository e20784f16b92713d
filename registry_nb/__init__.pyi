# The public names and the module of each: `__init__.py` imports them on first use.

from .display.charts import (
    Picture as Picture,
)
from .domain.listing import (
    Listing as Listing,
)
from .domain.records import (
    Event as Event,
)
from .domain.records import (
    ModelVersion as ModelVersion,
)
from .domain.records import (
    RegisteredModel as RegisteredModel,
)
from .domain.records import (
    Run as Run,
)
from .domain.records import (
    RunStatus as RunStatus,
)
from .domain.records import (
    SavedModel as SavedModel,
)
from .domain.records import (
    Stage as Stage,
)
from .errors import (
    AliasNotFound as AliasNotFound,
)
from .errors import (
    AlreadyExists as AlreadyExists,
)
from .errors import (
    ApprovalDoesNotCount as ApprovalDoesNotCount,
)
from .errors import (
    BadExample as BadExample,
)
from .errors import (
    BadFilter as BadFilter,
)
from .errors import (
    BadName as BadName,
)
from .errors import (
    BadURI as BadURI,
)
from .errors import (
    BadValue as BadValue,
)
from .errors import (
    BadVersion as BadVersion,
)
from .errors import (
    BehaviourChanged as BehaviourChanged,
)
from .errors import (
    CommitUncertain as CommitUncertain,
)
from .errors import (
    Conflict as Conflict,
)
from .errors import (
    Corrupted as Corrupted,
)
from .errors import (
    CrowdedStage as CrowdedStage,
)
from .errors import (
    EnvironmentChanged as EnvironmentChanged,
)
from .errors import (
    EnvironmentMismatch as EnvironmentMismatch,
)
from .errors import (
    Gone as Gone,
)
from .errors import (
    HoldsStage as HoldsStage,
)
from .errors import (
    InputAdjusted as InputAdjusted,
)
from .errors import (
    Invalid as Invalid,
)
from .errors import (
    KeyProblem as KeyProblem,
)
from .errors import (
    LibraryMissing as LibraryMissing,
)
from .errors import (
    LockTimeout as LockTimeout,
)
from .errors import (
    ModelNotFound as ModelNotFound,
)
from .errors import (
    NetworkFolder as NetworkFolder,
)
from .errors import (
    NewerFormat as NewerFormat,
)
from .errors import (
    NoFlavor as NoFlavor,
)
from .errors import (
    NotFound as NotFound,
)
from .errors import (
    NothingToRollBack as NothingToRollBack,
)
from .errors import (
    NotSerializable as NotSerializable,
)
from .errors import (
    PolicyFailed as PolicyFailed,
)
from .errors import (
    ReadOnly as ReadOnly,
)
from .errors import (
    Refused as Refused,
)
from .errors import (
    RegistryError as RegistryError,
)
from .errors import (
    RegistryWarning as RegistryWarning,
)
from .errors import (
    RunNotFound as RunNotFound,
)
from .errors import (
    SecretFound as SecretFound,
)
from .errors import (
    SignatureMismatch as SignatureMismatch,
)
from .errors import (
    StageEmpty as StageEmpty,
)
from .errors import (
    StorageError as StorageError,
)
from .errors import (
    UnknownStage as UnknownStage,
)
from .errors import (
    Untrusted as Untrusted,
)
from .errors import (
    VersionNotFound as VersionNotFound,
)
from .notebook import (
    load_ipython_extension as load_ipython_extension,
)
from .notebook import (
    unload_ipython_extension as unload_ipython_extension,
)
from .operations.approvals import (
    Request as Request,
)
from .operations.asof import (
    Stint as Stint,
)
from .operations.diff import (
    Diff as Diff,
)
from .operations.diff import (
    Difference as Difference,
)
from .operations.follow import (
    Following as Following,
)
from .operations.integrity import (
    Problem as Problem,
)
from .operations.integrity import (
    Report as Report,
)
from .operations.policies import (
    Evaluation as Evaluation,
)
from .operations.policies import (
    Verdict as Verdict,
)
from .operations.retention import (
    Candidate as Candidate,
)
from .operations.retention import (
    Retention as Retention,
)
from .operations.runs import (
    ActiveRun as ActiveRun,
)
from .operations.shadow.report import (
    Comparison as Comparison,
)
from .operations.subscriptions import (
    Subscription as Subscription,
)
from .operations.usage import (
    Usage as Usage,
)
from .packaging.loading import (
    Inspection as Inspection,
)
from .packaging.loading import (
    LoadedModel as LoadedModel,
)
from .packaging.probes import (
    Behaviour as Behaviour,
)
from .panel.widget import (
    RegistryPanel as RegistryPanel,
)
from .registry import (
    Registry as Registry,
)
from .rules import (
    Rule as Rule,
)
from .schema.inference import (
    infer_signature as infer_signature,
)
from .schema.signature import (
    Signature as Signature,
)
from .session import (
    get_registry as get_registry,
)
from .session import (
    load_model as load_model,
)
from .session import (
    log_model as log_model,
)
from .session import (
    set_registry as set_registry,
)
from .session import (
    start_run as start_run,
)
from .trust.keys import (
    signing_key as signing_key,
)
from .trust.places import (
    TrustedRegistry as TrustedRegistry,
)
from .trust.places import (
    trusted_registries as trusted_registries,
)

__version__: str
