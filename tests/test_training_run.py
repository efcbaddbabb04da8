"""A training run: repeatable, resumable, and blind to what it is not to see."""

import dataclasses
import json

import pytest

torch = pytest.importorskip("torch")

import click  # noqa: E402
import evaluation_builders as build  # noqa: E402
from click.testing import CliRunner  # noqa: E402
from training_builders import (  # noqa: E402
    STILL,
    relabelled,
    same_bits,
    tiny_config,
    trainer,
    weights,
    write_tiny,
)

from ecgedge.cli.train import command  # noqa: E402
from ecgedge.encoders.text import learnt_grams  # noqa: E402
from ecgedge.errors import InputError, UsageError  # noqa: E402
from ecgedge.training import checkpoint  # noqa: E402
from ecgedge.training.objective import NAMES  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    """The uninterrupted run all others are compared with, and what fit returned."""
    run = trainer(corpus, tmp_path_factory.mktemp("finished"))
    return run, run.fit()


def strict_lines(folder):
    """log.jsonl as a reader of strict JSON sees it."""

    def refuse(name):
        raise ValueError(name)

    lines = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def test_a_run_leaves_two_checkpoints_and_a_log_line_an_epoch(finished):
    run, best = finished
    names = {path.name for path in run.run_dir.iterdir()}
    assert names == {"best.pt", "last.pt", "log.jsonl"}
    lines = strict_lines(run.run_dir)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    losses = set(NAMES)
    assert all(losses <= set(line) for line in lines)
    assert ["score" in line for line in lines] == [False, True, True]
    assert best == {k: v for k, v in lines[best["epoch"] - 1].items() if k in best}
    assert best["score"] == max(line.get("score", -1) for line in lines)


def test_the_exported_checkpoint_is_the_best_average_with_its_facts(finished):
    run, best = finished
    loaded = checkpoint.load(run.run_dir / "best.pt")
    reports = [record.report for record in run.corpus.select(run.config.train_folds)]
    assert loaded.learnt == learnt_grams(reports)
    assert loaded.config == run.config
    facts = loaded.training
    assert (facts["train_records"], facts["train_reports"], facts["valid_records"]) == (16, 18, 8)
    assert (facts["train_folds"], facts["valid_folds"], facts["seed"]) == ([1], [2], 0)
    assert facts["epochs"] == best["epoch"]
    assert facts["validation"] == {name: best[name] for name in best if name != "epoch"}
    if best["epoch"] == run.epoch:
        averaged = run.averaged.state_dict()
        assert all(torch.equal(v, averaged[n]) for n, v in loaded.image_tower.state_dict().items())


def test_training_lowers_the_losses_it_descends(corpus, tmp_path):
    still = {"augment": STILL, "dropout": 0.0, "drop_path": 0.0}
    config = tiny_config(epochs=16, validate_every=16, learning_rate=3e-3, **still)
    trainer(corpus, tmp_path, config).fit()
    lines = strict_lines(tmp_path)
    for name in NAMES:
        assert lines[-1][name] < 0.85 * lines[0][name]


def test_a_task_without_positives_is_null_in_the_log_and_the_sidecar(corpus, tmp_path):
    bare = relabelled(corpus, 2, {"NORM": 100.0, "SR": 0.0}, "Normales EKG")
    run = trainer(bare, tmp_path, tiny_config(epochs=1))
    best = run.fit()
    assert best["auc_form"] is None
    assert strict_lines(tmp_path)[0]["auc_form"] is None
    facts = checkpoint.load(tmp_path / "best.pt").training
    json.dumps(dict(facts), allow_nan=False)


@pytest.mark.parametrize("stop", [1, 2])
def test_a_stopped_and_resumed_run_ends_in_the_same_bits(corpus, finished, tmp_path, stop):
    first = trainer(corpus, tmp_path)
    first.fit(stop_after=stop)
    assert not same_bits(weights(first), weights(finished[0]))
    second = trainer(corpus, tmp_path)
    second.resume()
    best = second.fit()
    assert same_bits(weights(second), weights(finished[0]))
    assert best == finished[1]
    plain = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in strict_lines(folder)]
        for folder in (tmp_path, finished[0].run_dir)
    ]
    assert plain[0] == plain[1]


def test_a_finished_run_resumed_has_nothing_left_to_do(corpus, finished):
    run = trainer(corpus, finished[0].run_dir)
    before = (run.run_dir / "last.pt").read_bytes()
    run.resume()
    assert run.fit() == finished[1]
    assert (run.run_dir / "last.pt").read_bytes() == before


def test_a_run_killed_between_log_and_checkpoint_does_not_log_an_epoch_twice(
    corpus, tmp_path, monkeypatch
):
    run = trainer(corpus, tmp_path, tiny_config(epochs=2))
    run.fit(stop_after=1)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_full_state", killed)
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert [line["epoch"] for line in strict_lines(tmp_path)] == [1, 2]
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"epoch": 2, "lo')
    again = trainer(corpus, tmp_path, tiny_config(epochs=2))
    again.resume()
    assert again.epoch == 1
    again.fit()
    assert [line["epoch"] for line in strict_lines(tmp_path)] == [1, 2]


def test_workers_do_not_change_what_is_learnt(corpus, tmp_path):
    runs = [trainer(corpus, tmp_path / str(n), tiny_config(epochs=1), workers=n) for n in (0, 1)]
    for run in runs:
        run.fit()
    assert same_bits(*(weights(run) for run in runs))


def test_the_same_seed_gives_the_same_weights_and_another_others(corpus, tmp_path):
    seeds = {"a": 5, "b": 5, "c": 6}
    runs = {
        n: trainer(corpus, tmp_path / n, tiny_config(epochs=1, seed=s)) for n, s in seeds.items()
    }
    for run in runs.values():
        run.fit()
    a, b, c = (weights(runs[name]) for name in "abc")
    assert same_bits(a, b)
    assert not any(
        torch.equal(a[name], c[name]) for name in a if name.endswith("weight") and a[name].ndim > 1
    )


def test_validation_folds_never_reach_the_weights(corpus, finished, tmp_path):
    other = relabelled(corpus, 2, {"AFIB": 100.0}, "ganz anderes wort")
    run = trainer(other, tmp_path)
    best = run.fit()
    assert same_bits(weights(run), weights(finished[0]))
    assert best != finished[1]


def test_reports_without_a_signal_teach_the_text_tower(corpus, finished, tmp_path):
    dropped = dataclasses.replace(
        corpus, records=tuple(r for r in corpus.records if r.signal is not None)
    )
    run = trainer(dropped, tmp_path, tiny_config(epochs=1))
    assert len(run.lessons) == 16
    assert len(finished[0].lessons) == 18
    run.fit()
    assert not torch.equal(run.text_tower.grams.weight, finished[0].text_tower.grams.weight)


def test_a_fold_on_both_sides_is_a_usage_error(corpus, tmp_path):
    with pytest.raises(UsageError, match="trained on and validated on at once"):
        trainer(corpus, tmp_path, tiny_config(train_folds=(1, 2)))


def test_a_fold_without_recordings_and_one_alone_are_refused(corpus, tmp_path):
    with pytest.raises(InputError):
        trainer(corpus, tmp_path, tiny_config(train_folds=(7,)))
    first = next(r for r in corpus.records if r.fold == 1)
    alone = dataclasses.replace(
        corpus, records=(first, *(r for r in corpus.records if r.fold == 2))
    )
    with pytest.raises(InputError, match="two recordings"):
        trainer(alone, tmp_path)


def test_an_unknown_encoding_is_refused_before_any_recording_is_read(corpus, tmp_path):
    unreadable = dataclasses.replace(
        corpus,
        records=tuple(dataclasses.replace(r, signal=tmp_path / "none") for r in corpus.records),
    )
    with pytest.raises(UsageError, match="leads-9"):
        trainer(unreadable, tmp_path, tiny_config(encoding="leads-9"))


@pytest.mark.parametrize("changes", [{"seed": 1}, {"epochs": 4}, {"valid_folds": (3,)}])
def test_a_run_is_not_resumed_with_other_settings(corpus, finished, changes):
    run = trainer(corpus, finished[0].run_dir)
    run.config = dataclasses.replace(run.config, **changes)
    with pytest.raises(UsageError, match="other settings"):
        run.resume()


def test_a_run_is_not_resumed_on_another_corpus(corpus, finished):
    fewer = dataclasses.replace(corpus, records=corpus.records[2:])
    with pytest.raises(UsageError, match="another corpus"):
        trainer(fewer, finished[0].run_dir).resume()
    renamed = relabelled(corpus, 1, {"NORM": 100.0}, "normal")
    with pytest.raises(UsageError, match="does not continue as this run"):
        trainer(renamed, finished[0].run_dir).resume()


def ecgedge_train(*arguments):
    return CliRunner().invoke(command, [str(part) for part in arguments])


FAST = ["--train-folds", "1", "--valid-folds", "2", "--batch", "8", "--device", "cpu"]


@pytest.fixture(scope="module")
def typed(corpus, tmp_path_factory):
    """`ecgedge train` as typed, into a folder that does not exist yet."""
    out = tmp_path_factory.mktemp("typed") / "runs" / "first"
    options = [corpus.root, "-o", out, "--epochs", "1", *FAST, "--threads", "1", "--json"]
    return out, options, ecgedge_train(*options)


def test_the_command_trains_and_says_where_the_best_checkpoint_is(typed):
    out, _, ran = typed
    assert ran.exit_code == 0, ran.output
    result = json.loads(ran.stdout)
    assert (result["schema"], result["command"], result["ok"]) == ("ecgedge/1", "train", True)
    assert result["checkpoint"] == str(out / "best.pt")
    assert result["skipped"] == {}
    assert 0 <= result["best"]["score"] <= 1
    assert checkpoint.load(out / "best.pt").imaging == "leads-1"
    assert len(strict_lines(out)) == 1


def test_the_command_continues_only_where_it_is_told_to(typed, tmp_path):
    _, options, _ = typed
    for arguments, told in [
        (options, "holds a run already: add --resume"),
        ([*options[:2], tmp_path / "new", *options[3:], "--resume"], "holds no run"),
    ]:
        ran = ecgedge_train(*arguments)
        assert ran.exit_code == 2
        error = json.loads(ran.stdout)["error"]
        assert (error["type"], error["exit_code"]) == ("UsageError", 2)
        assert told in error["message"]
    assert not (tmp_path / "new").exists()
    resumed = ecgedge_train(*options, "--resume")
    assert resumed.exit_code == 0, resumed.output
    other = ecgedge_train(*options, "--resume", "--seed", "9")
    assert other.exit_code == 2


def test_the_command_lists_unreadable_recordings(tmp_path):
    damaged = build.write_corpus(
        tmp_path / "corpus", [*build.rows(8), *build.rows(8, first=101, fold=2)]
    )
    (damaged.root / "records100" / "00003_lr.dat").write_bytes(b"")
    ran = ecgedge_train(damaged.root, "-o", tmp_path / "run", "--epochs", "1", *FAST)
    assert ran.exit_code == 0, ran.output
    assert "best checkpoint:" in ran.stdout
    assert "skipped 3: " in ran.stdout
    assert checkpoint.load(tmp_path / "run" / "best.pt").training["unreadable"] == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [(["--train-folds", "1-2"], 2), (["--train-folds", "x"], 2), (["--encoding", "leads-9"], 2),
     (["--train-folds", "7"], 3), (["--batch", "1"], 2), (["--epochs", "0"], 2)],
)  # fmt: skip
def test_the_command_refuses_what_cannot_be_trained(corpus, tmp_path, options, code):
    ran = ecgedge_train(corpus.root, "-o", tmp_path / "run", "--epochs", "1", *FAST, *options)
    assert ran.exit_code == code
    assert "Traceback" not in ran.output
    assert not (tmp_path / "run" / "last.pt").exists()


def test_the_command_refuses_a_missing_corpus_and_a_file_for_a_folder(corpus, tmp_path):
    ran = ecgedge_train(tmp_path / "none", "-o", tmp_path / "run", *FAST)
    assert ran.exit_code == 3
    assert not (tmp_path / "run").exists()
    (tmp_path / "file").write_text("x")
    ran = ecgedge_train(corpus.root, "-o", tmp_path / "file", *FAST)
    assert ran.exit_code == 2
    assert "cannot be the run folder" in ran.stderr


def test_every_option_of_the_command_is_explained():
    options = [item for item in command.params if isinstance(item, click.Option)]
    assert len(options) == 16
    assert [option.name for option in options if not option.help] == []
