"""What a stranger made does not run before somebody vouches for it; one's own models load as ever."""

import dataclasses
import os
import re
import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.domain.lifecycle import Stamp
from registry_nb.domain.records import Frozen, SavedModel, Seal
from registry_nb.trust import keys, places, seals

CODE = "models:/Iris/1"


@pytest.fixture
def gift(registry, stranger, forest, constant):
    """A registry in which a stranger registered code as Iris 1, and a plain scikit-learn model as Forest 1."""
    with stranger():
        registry.register(constant(7), "Iris")
        registry.register(forest, "Forest")
    return registry


def refused_digest(registry, uri=CODE):
    with pytest.raises(rn.Untrusted) as caught:
        registry.load(uri)
    return caught.value.digest


def reseal(registry, **fields):
    """Rewrite a version as somebody would who can write the folder."""
    record = registry.version("Iris", 1)
    text = f"{record.description} forged"  # each time a change
    with registry.store.transaction() as tx:
        tx.apply(
            lifecycle.Change(
                "Iris",
                lifecycle.described(record, text, Stamp(record.created_at, "eve", "there")).events,
                versions=(dataclasses.replace(record, description=text, **fields),),
            )
        )


# -- one's own ---------------------------------------------------------------------------------------------------------


def test_what_a_user_registered_is_local_in_any_process_and_under_any_user_name(registry, constant, python):
    registry.register(constant(7), "Iris")
    loaded = registry.load(CODE)
    assert (loaded.origin, loaded.predict([1])) == ("local", [7])
    script = """
        import sys, registry_nb as rn
        loaded = rn.Registry(sys.argv[1], user="another").load("models:/Iris/1")
        print(loaded.origin, loaded.predict([1]))
    """
    assert python(script, registry.uri) == "local [7]\n"


def test_a_model_of_a_run_is_local_and_stays_so_when_it_is_registered(registry, constant):
    from registry_nb.operations.runs import Tracking

    run, _ = Tracking(registry.store, registry.artifacts, user="ada").log_model(constant(7))
    uri = f"runs:/{run.run_id}/model"
    assert registry.load(uri).origin == "local"
    registry.copy(uri, "Iris")
    assert registry.load(CODE).origin == "local"
    assert registry.version("Iris", 1).seals[0].of == CODE


def test_a_renamed_model_keeps_its_seals(registry, constant):
    registry.register(constant(7), "Flower")
    registry.rename("Flower", "Plant")
    registry.rename("Plant", "Iris")
    assert registry.load(CODE).origin == "local"
    registry.rename("Iris", "Flower")
    assert registry.load("models:/Flower/1").origin == "local"


def test_moving_and_describing_break_no_seal(registry, constant):
    registry.register(constant(7), "Iris", example=[1])
    registry.promote("Iris", 1)
    registry.tag("Iris", {"a": 1}, version=1)
    assert registry.load("models:/Iris/Production").origin == "local"


def test_what_is_different_here_is_remembered_for_a_few_models_only(registry, constant, monkeypatch):
    from registry_nb.packaging import loading

    monkeypatch.setattr(loading, "_MANY", 2)
    loading._known_changes.clear()
    for number in range(1, 4):
        registry.register(constant(number), "Iris")
        assert registry.load(f"models:/Iris/{number}").predict([0]) == [number]
        assert registry.load(f"models:/Iris/{number}").predict([0]) == [number]
        assert 1 <= len(loading._known_changes) <= 2


def test_loading_makes_no_key(gift, stranger):
    with stranger("reader"):
        assert gift.inspect("models:/Forest/1").origin == "foreign"
        refused_digest(gift)
        assert not os.path.exists(keys.home())


# -- a stranger's ------------------------------------------------------------------------------------------------------


def test_a_strangers_code_is_refused_with_the_digest_and_the_very_call_that_would_load_it(gift, refused):
    digest = gift.version("Iris", 1).digest
    with refused(gift, rn.Untrusted, "models:/Iris/1 was not loaded", "carries code of its own", digest[:39]) as caught:
        gift.load(CODE)
    assert caught.value.digest == digest
    assert any("cloudpickle" in name for name in caught.value.imports)
    (call,) = re.findall(r"load\(.*?\)", str(caught.value))
    loaded = eval(f"gift.{call}")
    assert (loaded.origin, loaded.predict([1])) == ("foreign", [7])


def test_a_strangers_plain_model_is_code_too_since_it_is_a_pickle(gift, forest, flowers):
    found = gift.inspect("models:/Forest/1")
    assert (found.kind, found.problems) == ("code", ())
    with pytest.raises(rn.Untrusted, match=r"loading it would import .*RandomForestClassifier"):
        gift.load("models:/Forest/1")
    loaded = gift.load("models:/Forest/1", trust=found.digest)
    assert (loaded.predict(flowers[0]) == forest.predict(flowers[0])).all()


def test_the_refusal_and_inspect_say_who_registered_it_as_a_claim_and_how_to_get_their_key(gift, monkeypatch):
    with pytest.raises(rn.Untrusted, match=r"\('ada' registered it, says the record\)") as caught:
        gift.load(CODE)
    found = gift.inspect(CODE)
    assert found.registered_by == "ada"
    assert found.way_out == caught.value.remedy
    calls = [f'registry.trust("{CODE}")', f'registry.trust("{CODE}", signer="ed25519:…")']
    calls += ["registry_nb.signing_key()", f'load("{CODE}", trust="{found.digest[:39]}")']
    assert [call for call in calls if call not in found.way_out] == []
    gift.trust(CODE)
    assert gift.inspect(CODE).way_out == ""


def test_a_name_in_a_record_cannot_disguise_itself_in_the_refusal(registry, stranger, constant):
    with stranger():
        rn.Registry(registry.uri, user="Grace'; call os.system\u202e" + "x" * 100).register(constant(7), "Iris")
    with pytest.raises(rn.Untrusted) as caught:
        registry.load(CODE)
    text = str(caught.value)
    assert text.isprintable()
    assert "x" * 80 not in text


def test_of_a_model_of_a_run_nobody_is_named_and_its_digest_is_the_way(registry, stranger, constant):
    from registry_nb.operations.runs import Tracking

    with stranger():
        run, _ = Tracking(registry.store, registry.artifacts, user="bob").log_model(constant(1))
    found = registry.inspect(f"runs:/{run.run_id}/model")
    assert found.registered_by == ""
    assert re.fullmatch(rf'if you .*, load\("runs:/{run.run_id}/model", trust="sha256:.*"\)', found.way_out)


@pytest.mark.parametrize("given", [True, "yes", "sha256:", "sha256:0123", "SHA256:" + "a" * 64, 7, ["sha256:"]])
def test_trust_is_never_anything_but_a_digest(gift, refused, given):
    with refused(gift, rn.Invalid, "does not say what to trust", "inspect(uri).digest"):
        gift.load(CODE, trust=given)


def test_a_digest_trusts_these_bytes_and_no_others(gift, refused, forest, constant):
    with refused(gift, rn.Untrusted, "its bytes are sha256:", "not the trusted sha256:0000"):
        gift.load(CODE, trust="sha256:" + "0" * 64)
    gift.register(constant(8), "Own")
    with refused(gift, rn.Untrusted, "its bytes are sha256:"):  # of one's own as well
        gift.load("models:/Own/1", trust="sha256:" + "0" * 16)
    assert gift.load("models:/Own/1", trust=gift.version("Own", 1).digest[:23]).predict([1]) == [8]


def test_code_is_refused_by_the_strict_reader_too_if_its_audit_should_err(gift, monkeypatch):
    from registry_nb.flavors import pyfunc
    from registry_nb.flavors.untrusted.audit import Audit

    monkeypatch.setattr(pyfunc, "audit", lambda files: Audit("data"))
    with pytest.raises(rn.Untrusted):
        gift.load(CODE)


def test_a_copy_of_a_strangers_model_is_a_strangers(gift):
    gift.copy(CODE, "Mine")
    assert refused_digest(gift, "models:/Mine/1") == gift.version("Iris", 1).digest
    gift.trust(CODE)
    gift.copy(CODE, "Mine")
    assert gift.load("models:/Mine/2").origin == "local"


def test_a_deep_check_does_not_run_a_strangers_code(registry, stranger, constant):
    with stranger():
        registry.register(constant(7), "Iris", example=[1])
    (problem,) = registry.check(deep=True).problems
    assert "models:/Iris/1" in problem
    assert "was not loaded: nobody whom you know vouches for it" in problem


def test_a_record_of_a_release_without_seals_is_foreign_until_it_is_trusted(registry, constant):
    registry.register(constant(7), "Iris")
    reseal(registry, seals=())
    refused_digest(registry)
    registry.trust(CODE, because="from before there were seals")
    assert registry.load(CODE).origin == "local"


# -- forged ------------------------------------------------------------------------------------------------------------


def test_a_seal_is_about_one_version_of_one_model(registry, constant, forest):
    registry.register(constant(7), "Iris")
    good = registry.register(constant(8), "Other")
    registry.register(constant(9), "Iris")
    reseal(registry, seals=good.seals)
    refused_digest(registry)
    reseal(registry, seals=registry.version("Iris", 2).seals)
    refused_digest(registry)
    reseal(registry, seals=good.seals, files=good.files, size=good.size, digest=good.digest)
    refused_digest(registry)


@pytest.mark.parametrize(
    "fields",
    [
        {"flavor": "sklearn"},
        {"requirements": ("evil==1",)},
        {"python_version": "3.9.0"},
        {"environment": Frozen(platform="elsewhere")},
        {"signature": rn.infer_signature([[1.0]])},
    ],
)
def test_whatever_loading_depends_on_is_sealed(registry, constant, fields):
    registry.register(constant(7), "Iris")
    reseal(registry, **fields)
    assert registry.inspect(CODE).origin == "foreign"


@pytest.mark.parametrize("value", ["", "zz", "é", "0" * 64])
def test_a_seal_with_any_other_value_is_none(registry, constant, value):
    record = registry.register(constant(7), "Iris")
    reseal(registry, seals=(dataclasses.replace(record.seals[0], value=value),))
    assert registry.inspect(CODE).origin == "foreign"


def test_a_strangers_key_under_the_name_of_ones_own_is_a_strangers(gift):
    own = keys.secret_name(keys.secret(create=True))
    (seal,) = gift.version("Iris", 1).seals
    reseal(gift, seals=(dataclasses.replace(seal, by=own),))
    refused_digest(gift)


def test_a_record_is_the_same_after_it_was_written_and_read():
    seal = Seal("hmac-sha256:0", CODE, "00")
    saved = SavedModel(flavor="sklearn", files=(), seals=(seal,))
    assert SavedModel.from_dict(saved.to_dict()) == saved
    assert SavedModel.from_dict(saved.to_dict()).essence == saved.essence
    assert dataclasses.replace(saved, seals=()).essence == saved.essence


# -- an act of trust ---------------------------------------------------------------------------------------------------


def test_trust_is_an_event_with_a_reason_and_happens_once(gift):
    digest = gift.version("Iris", 1).digest
    before = len(gift.history("Iris"))
    record = gift.trust(CODE, because="Bob sent it, I read it")
    assert gift.load(CODE).origin == "local"
    event = gift.history("Iris")[-1]
    assert (event.action, event.user, event.because) == ("trusted", "ada", "Bob sent it, I read it")
    assert event.after["digest"] == digest
    assert gift.trust(CODE) == record
    assert len(gift.history("Iris")) == before + 1
    assert gift.check().ok


def test_what_one_user_trusts_another_need_not(gift, stranger):
    gift.trust(CODE)
    with stranger("third"):
        refused_digest(gift)
    with stranger():
        assert gift.load(CODE).origin == "local"  # whoever made it keeps it


def test_altered_bytes_are_not_trusted(gift, refused):
    (file,) = gift.version("Iris", 1).files
    path = next(p for p in _below(gift.uri) if p.replace(os.sep, "").endswith(file.digest.removeprefix("sha256:")))
    os.chmod(path, 0o644)
    with open(path, "r+b") as broken:
        broken.write(b"\0\0")
    with refused(gift, rn.Corrupted, "register"):
        gift.trust(CODE)


def _below(folder):
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]


def test_a_model_of_a_run_is_trusted_once_it_is_registered(gift, constant, stranger, refused):
    from registry_nb.operations.runs import Tracking

    with stranger():
        run, _ = Tracking(gift.store, gift.artifacts, user="bob").log_model(constant(1))
    with refused(gift, rn.Invalid, "registry.copy"):
        gift.trust(f"runs:/{run.run_id}/model")


# -- signers -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def signed(registry, stranger, constant, monkeypatch, tmp_path):
    """A registry in which Bob registered Iris 1, then made a signing key, and registered Iris 2; and his key's name."""
    pytest.importorskip("cryptography")
    monkeypatch.setenv("REGISTRY_NB_HOME", str(tmp_path / "keys of ada"))  # whom she comes to know, others need not
    with stranger("bob"):
        registry.register(constant(1), "Iris")
        name = rn.signing_key()
        registry.register(constant(2), "Iris")
        assert rn.signing_key() == name
    return registry, name


def test_a_known_signers_models_load_like_ones_own(signed):
    registry, name = signed
    refused_digest(registry, "models:/Iris/2")
    way_out = registry.inspect("models:/Iris/2").way_out
    assert f"ask 'ada' whether registry_nb.signing_key() is {name}, then" in way_out
    assert f'registry.trust("models:/Iris/2", signer="{name[:24]}")' in way_out
    assert registry.inspect("models:/Iris/2").signers == (name,)
    registry.trust("models:/Iris/2", signer=name[:24], because="Bob told me on the phone")
    assert registry.load("models:/Iris/2").origin == "known"
    assert registry.history("Iris")[-1].after["trusted"] == name
    refused_digest(registry, "models:/Iris/1")  # he had not signed that


def test_what_a_known_signer_signs_later_loads_at_once(signed, stranger, constant):
    registry, name = signed
    registry.trust("models:/Iris/2", signer=name)
    with stranger("bob"):
        registry.register(constant(3), "Iris")
        registry.trust("models:/Iris/1")  # and what he had not signed yet
    assert registry.load("models:/Iris/3").origin == "known"
    assert registry.load("models:/Iris/1").origin == "known"


def test_a_copied_signature_signs_nothing_else(signed):
    registry, name = signed
    registry.trust("models:/Iris/2", signer=name)
    reseal(registry, seals=registry.version("Iris", 2).seals)
    refused_digest(registry)


def test_a_signer_is_chosen_from_those_who_really_signed(signed, refused):
    registry, name = signed
    for given in ("ed25519:" + "0" * 64, name.replace(name[8:16], "f" * 8)):
        with refused(registry, rn.Untrusted, "was not signed by", name):
            registry.trust("models:/Iris/2", signer=given)
    with refused(registry, rn.Untrusted, "nobody signed it"):
        registry.trust("models:/Iris/1", signer=name)
    for given in ("bob", "ed25519:12", True, name.upper()):
        with refused(registry, rn.Invalid, "no signer's name"):
            registry.trust("models:/Iris/2", signer=given)
    assert keys.known_signers() == frozenset()


def test_a_forged_signature_with_a_real_name_is_nobodys(signed):
    registry, name = signed
    registry.trust("models:/Iris/2", signer=name)
    for value in ("00" * 64, "zz", ""):
        reseal(registry, seals=(Seal(name, CODE, value),))
        assert registry.inspect(CODE).signers == ()
        refused_digest(registry)
    reseal(registry, seals=(Seal("ed25519:no key", CODE, "00"),))
    assert registry.inspect(CODE).signers == ()


def test_without_cryptography_a_signature_is_no_help_and_the_error_says_what_to_install(signed, monkeypatch, refused):
    registry, name = signed
    registry.trust("models:/Iris/2", signer=name)
    for module in [one for one in sys.modules if one.partition(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, module, None)
    with refused(registry, rn.LibraryMissing, "pip install 'registry-nb[signing]'"):
        registry.load("models:/Iris/2")
    record = registry.version("Iris", 2)
    assert seals.signers(record, "models:/Iris/2", registry.store) == ()
    assert "call registry_nb.signing_key()" in seals.way_out(record, record.uri)
    monkeypatch.setenv("REGISTRY_NB_HOME", os.path.join(registry.uri, "nobody"))
    with pytest.raises(rn.LibraryMissing, match="signing"):
        rn.signing_key()


def test_what_others_registered_with_other_versions_is_loaded_with_one_warning(registry, forest, flowers):
    registry.register(forest, "Iris")
    modules = {**registry.version("Iris", 1).environment["modules"], "sklearn": "0.20.0"}
    reseal(registry, environment=Frozen(platform="elsewhere", modules=Frozen(modules), by_value=False))
    with pytest.warns(rn.EnvironmentChanged, match=r"scikit-learn 0\.20\.0 → "):
        assert registry.load(CODE, trust=registry.version("Iris", 1).digest).origin == "foreign"


# -- a registry as a whole ---------------------------------------------------------------------------------------------


@pytest.fixture
def reader(registry, stranger, constant, monkeypatch, tmp_path):
    """A registry in which a stranger registered Iris 1, and a home of its reader's that nothing is in yet."""
    with stranger():
        registry.register(constant(7), "Iris", example=[1])
    monkeypatch.setenv("REGISTRY_NB_HOME", str(tmp_path / "keys of the reader"))
    monkeypatch.delenv("REGISTRY_NB_TRUST", raising=False)
    return registry


def test_a_registry_is_trusted_as_a_whole_by_its_readers_word_until_that_is_taken_back(reader):
    refused_digest(reader)
    before = (Path(reader.uri) / "registry.jsonl").read_bytes()
    said = reader.trust_all(because="only our team can write it")
    assert (said.folder, said.because) == (os.path.realpath(reader.uri), "only our team can write it")
    assert rn.trusted_registries() == [said]
    loaded = reader.load(CODE, verify="behaviour")
    assert (loaded.origin, loaded.predict([1]), loaded.behaviour.changed) == ("trusted", [7], 0)
    found = reader.inspect(CODE)
    assert (found.origin, found.way_out) == ("trusted", "")
    assert reader.check(deep=True).ok
    with reader.follow(CODE) as model:
        assert model.predict([1]) == [7]
    assert reader.at(reader.history("Iris")[-1].at).load(CODE).origin == "trusted"
    assert (Path(reader.uri) / "registry.jsonl").read_bytes() == before, "the word is not in the registry"
    reader.distrust_all()
    assert rn.trusted_registries() == []
    refused_digest(reader)
    with pytest.raises(rn.Invalid, match="no registry that you trust as a whole \\(there is none that you do\\)"):
        reader.distrust_all()
    reader.trust_all(because="again")
    with pytest.raises(rn.Invalid, match=rf"\(those that you do: {re.escape(said.folder)}\)"):
        rn.Registry(f"{reader.uri}2").distrust_all()


def test_what_is_trusted_as_a_whole_is_verified_all_the_same(reader):
    reader.trust_all(because="ours")
    (file,) = reader.version("Iris", 1).files
    path = Path(reader.uri, "artifacts", file.digest.removeprefix("sha256:"))
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(rn.Corrupted):
        reader.load(CODE)


def test_ones_own_models_stay_local_in_a_registry_that_is_trusted(reader, constant):
    reader.trust_all(because="ours")
    reader.register(constant(8), "Own")
    assert reader.load("models:/Own/1").origin == "local"


def test_a_copy_of_what_only_the_word_vouches_for_is_not_sealed(reader):
    reader.trust_all(because="ours")
    reader.copy(CODE, "Copy")
    assert reader.load("models:/Copy/1").origin == "trusted"
    assert reader.version("Copy", 1).seals == ()
    reader.distrust_all()
    refused_digest(reader, "models:/Copy/1")


def test_the_word_is_about_one_place_not_what_lies_below_a_copy_or_what_it_was_moved_to(reader, tmp_path):
    reader.trust_all(because="ours")
    below = Path(reader.uri) / "below"
    shutil.copytree(reader.uri, below)
    shutil.copytree(reader.uri, f"{reader.uri}2", ignore=lambda *_: ["below"])
    for elsewhere in (below, f"{reader.uri}2"):
        refused_digest(rn.Registry(elsewhere))
    link = tmp_path / "by another way"
    link.symlink_to(reader.uri)
    assert rn.Registry(link).load(CODE).origin == "trusted"
    link.unlink()
    link.symlink_to(f"{reader.uri}2")
    refused_digest(rn.Registry(link))
    shutil.move(reader.uri, tmp_path / "moved")
    refused_digest(rn.Registry(tmp_path / "moved"))


@pytest.mark.parametrize("end", [b"# reviewed by me", b'{"registry": "/half", "trus', b"# a line\n", b"\n"])
def test_a_last_line_without_an_end_swallows_no_word(reader, end):
    def write():
        with open(os.path.join(os.environ["REGISTRY_NB_HOME"], "trusted_registries"), "ab") as file:
            file.write(end)

    reader.trust_all(because="ours")
    write()
    reader.distrust_all()
    assert rn.trusted_registries() == []
    refused_digest(reader)
    write()
    reader.trust_all(because="again")
    assert [found.because for found in rn.trusted_registries()] == ["again"]


@pytest.mark.parametrize("because", ["", "  ", "\u200b", "\n", "\u3164", "\u2800", "\u115f\uffa0", "\u034f", "\u0301"])
def test_a_word_without_a_reason_is_none(reader, refused, because):
    with refused(reader, rn.Invalid, "may run code as you: say why"):
        reader.trust_all(because=because)
    assert rn.trusted_registries() == []


def test_where_no_registry_is_there_is_nothing_to_trust(reader, tmp_path):
    with pytest.raises(rn.Invalid, match="there is no registry in"):
        rn.Registry(tmp_path / "mistyped").trust_all(because="ours")
    assert rn.trusted_registries() == []


def test_a_job_has_the_word_in_its_environment(reader, monkeypatch, python, tmp_path):
    script = """
        import sys, registry_nb as rn
        loaded = rn.Registry(sys.argv[1]).load("models:/Iris/1")
        print(loaded.origin, loaded.predict([1]), [one.because for one in rn.trusted_registries()])
    """
    both = os.pathsep.join([str(tmp_path / "another"), reader.uri, ""])
    said = python(script, reader.uri, REGISTRY_NB_TRUST=both, REGISTRY_NB_HOME=str(tmp_path / "of the job"))
    assert said == "trusted [7] ['$REGISTRY_NB_TRUST names it', '$REGISTRY_NB_TRUST names it']\n"
    monkeypatch.setenv("REGISTRY_NB_TRUST", reader.uri)
    reader.trust_all(because="ours")
    for _ in ("of the list and the variable", "of the variable alone"):
        with pytest.warns(rn.RegistryWarning, match="is trusted still, since .REGISTRY_NB_TRUST of this process names"):
            reader.distrust_all()
    assert reader.load(CODE).origin == "trusted"


@pytest.mark.parametrize("value", ["*", ".", "registry", "../registry", "~", "/*"])
def test_what_is_no_path_of_a_registry_trusts_nothing(reader, monkeypatch, value):
    monkeypatch.chdir(os.path.dirname(reader.uri))
    places._split.cache_clear()
    monkeypatch.setenv("REGISTRY_NB_TRUST", value)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        refused_digest(reader)
        refused_digest(reader)
    texts = [str(each.message) for each in told]
    assert len(texts) == (0 if value == "/*" else 1), "and it is said once"
    assert all("counts for nothing: it is the absolute paths" in text for text in texts)


@pytest.mark.parametrize("value", ["", os.pathsep, f"{os.pathsep}{os.pathsep}"])
def test_an_empty_variable_names_nothing_and_not_the_working_directory(reader, monkeypatch, value):
    monkeypatch.chdir(reader.uri)
    monkeypatch.setenv("REGISTRY_NB_TRUST", value)
    refused_digest(reader)


def test_damaged_lines_of_the_list_trust_nothing(reader):
    reader.trust_all(because="ours")
    path = Path(keys.home()) / "trusted_registries"
    whole = path.read_text()
    for line in ("", "{", "[]", '{"registry": 1}', whole.replace("true", "1"), whole.replace("ours", "")[:-20]):
        path.write_text(f"{line}\n")
        refused_digest(reader)
    path.write_text(f"my colleagues'\n{whole}{{half a li")
    assert reader.load(CODE).origin == "trusted"


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_a_list_that_others_may_write_trusts_nothing(reader):
    reader.trust_all(because="ours")
    path = Path(keys.home()) / "trusted_registries"
    path.chmod(0o666)
    with pytest.warns(rn.KeyProblem, match="trusted_registries counts for nothing, because others may write it"):
        refused_digest(reader)
    with pytest.raises(rn.StorageError, match="counts for nothing"):
        reader.trust_all(because="ours")


def test_any_number_of_seals_costs_one_look_at_the_history(registry, constant, monkeypatch):
    registry.register(constant(1), "Flower")
    registry.rename("Flower", "Iris")
    version = registry.version("Iris", 1)
    (seal,) = version.seals
    others = tuple(replace(seal, of=f"models:/N{number}/1") for number in range(2000))
    looks, events = [], registry.store.events
    monkeypatch.setattr(registry.store, "events", lambda *args, **how: looks.append(args) or events(*args, **how))
    assert seals.origin(replace(version, seals=(seal, *others)), version.uri, registry.store) == "local"
    assert len(looks) == 1
    foreign = replace(version, seals=(*others, seal))
    assert seals.origin(foreign, version.uri, registry.store) == "foreign", "what lies beyond the limit says nothing"
