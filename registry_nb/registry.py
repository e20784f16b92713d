"""The index: every method of a registry, and the module that has it."""

from __future__ import annotations

from registry_nb.context import Context
from registry_nb.delivery import deliver as delivery
from registry_nb.display import charts
from registry_nb.operations import (
    access,
    approvals,
    asof,
    attachments,
    batch,
    editing,
    events_out,
    follow,
    integrity,
    policies,
    queries,
    registering,
    stages,
)
from registry_nb.operations import diff as comparison
from registry_nb.operations import retention as retaining
from registry_nb.operations import subscriptions as subscribing
from registry_nb.operations import usage as costs
from registry_nb.operations.shadow import run as shadowing
from registry_nb.panel import show


class Registry(Context):
    """A model registry: a folder that several notebooks use at once.

    Opening is lazy and cheap; the first write creates the folder. Safe to share between threads and after ``fork``.

    Parameters
    ----------
    uri : str or path-like, optional
        A folder, a ``file:`` URL, or ``postgresql://host/database?artifacts=…``, where the first user says where the
        bytes are. If not given: ``$REGISTRY_NB_URI``, else the nearest folder ``.registry_nb`` in the
        working directory or above it, else ``.registry_nb`` in the working directory.
    user : str, optional
        Who acts; ``$REGISTRY_NB_USER`` or the operating system's user if not given.
    store, artifacts : Store and Artifacts, optional
        Your own adapters for the records and the bytes, instead of a URI; `registry_nb.testing` has their contract
        suites.

    Raises
    ------
    Invalid
        If `uri` cannot be a path, `user` is blank, or `store` and `artifacts` are not given together, without `uri`.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> registry = Registry(mkdtemp())
    >>> registry.register(lambda X: [0 for _ in X], "Zero", because="a baseline").version
    1
    >>> registry.promote("Zero", 1, because="better than nothing").stage
    <Stage.PRODUCTION: 'Production'>
    >>> registry.load("models:/Zero/Production").predict([7, 8])
    [0, 0]
    """

    # create
    register = registering.register
    register_files = registering.register_files
    create_model = registering.create_model
    copy = access.copy

    # stages
    promote = stages.promote
    transition = stages.transition
    archive = stages.archive
    rollback = stages.rollback

    # several verbs, one commit
    atomically = batch.atomically

    # decide
    policy = policies.policy
    evaluate = policies.evaluate
    request = approvals.request
    approve = approvals.approve
    reject = approvals.reject
    inbox = approvals.inbox

    # query
    model = queries.model
    version = queries.version
    models = queries.models
    versions = queries.versions
    history = queries.history
    run = queries.run
    runs = queries.runs
    timeline = asof.timeline
    at = asof.at
    diff = comparison.diff
    shadow = shadowing.shadow

    # load
    load = access.load
    follow = follow.follow
    inspect = access.inspect
    trust = access.trust
    trust_all = access.trust_all
    distrust_all = access.distrust_all
    download = access.download

    # discuss, and hear
    comment = events_out.comment
    since = events_out.since
    subscribe = subscribing.subscribe
    subscriptions = subscribing.subscriptions
    unsubscribe = subscribing.unsubscribe
    deliver = delivery.deliver

    # beside the model
    attach = attachments.attach
    attachment = attachments.attachment

    # show
    panel = show.panel
    plot = charts.plot

    # edit
    describe = editing.describe
    tag = editing.tag
    untag = editing.untag
    alias = editing.alias
    unalias = editing.unalias
    rename = editing.rename
    delete = editing.delete

    # maintain
    check = integrity.check
    usage = costs.usage
    retention = retaining.retention
    prune = retaining.prune
