"""README.md of a built folder: the dataset card."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from easy_to_hard.cards.front_matter import front_matter
from easy_to_hard.cards.images import has_image, image_path
from easy_to_hard.cards.statistics import FolderStatistics, SplitStatistics
from easy_to_hard.cards.tables import counts_table, folded, markdown_table, split_counts
from easy_to_hard.frozen import VERSION, is_frozen
from easy_to_hard.storage.columns import Column, columns_of
from easy_to_hard.storage.presets import PRESETS
from easy_to_hard.tasks import Task, TaskText, get_task

_TAGS: Final = ("easy-to-hard", "extrapolation", "reasoning", "algorithmic", "synthetic")
# Placeholder in the examples for the folder's id on the Hub, which is not known yet.
_REPO: Final = "owner/name"

_HEAD: Final = """\
# Easy-to-hard: train on easy instances, be tested on harder ones

Each config is one task at one difficulty. Train on an easy one, and test on harder ones of the same task: a solver that
has learned an algorithm, and may think for longer, carries over; one that has learned the look of the easy instances
does not. A prediction counts if every position of the target is right (exact match).

{rows:,} rows in {configs} configs, made by `easy-to-hard` {package_version}: preset `{preset}`, seed {seed}, split rule
`{split_rule}`.{frozen} The tasks follow Schwarzschild et al. 2021 and Bansal et al. 2022 (see [Citation](#citation));
all instances are made anew.
"""

_LOAD: Final = """\
## How to load it

Put the id of this repo in place of `{repo}` (for `load_dataset` the path of a folder does as well). A config is
downloaded with all its splits; streaming reads the wanted one only. All files together take {packed}, and {loaded} in
the cache of `datasets`; the largest config there is `{largest}` with {largest_loaded}.

```python
from datasets import load_dataset

easy = load_dataset("{repo}", "{easy[config]}", split="{easy[split]}")
hard = load_dataset("{repo}", "{hard[config]}", split="{hard[split]}", streaming=True)
```
{tensors}
The package gives PyTorch datasets of the same instances. It downloads only the files of the config and split, at one
commit, and checks their SHA-256. With `revision`, a tag or a commit of the repo, it is always the same version, here as
in `load_dataset`. `source="generate"` makes the instances in place of downloading them, and they are the same.

```python
import easy_to_hard

hard = easy_to_hard.load("{hard[task]}", {hard[difficulty]}, {options}, source="hub", repo_id="{repo}")
```

```python
from easy_to_hard import {classes}

{calls}
```
"""

_TENSORS: Final = """
For PyTorch, name the columns and the type. Without a type, integers become int64, eight times as large; without the
columns, `index` is cast to uint8 too and wraps round. (Columns of bytes would lose trailing zeros in this format; there
are none here.)

```python
import torch
from datasets import load_dataset

data = load_dataset("{repo}", "{config}", split="{split}")
data = data.with_format("torch", columns=["input", "target"], dtype=torch.uint8)
```
"""

_MADE: Final = """\
## How it was made

{generators}

Random numbers are Philox4x32-10, counted and not carried over: an instance is a function of task, variant, difficulty,
split, seed and its number in the stream, on any machine. The number is column `index`; a set holds the first distinct
instances of its stream. So the package makes any row again:

```python
from datasets import load_dataset
from easy_to_hard import TASKS, DataSpec

row = load_dataset("{repo}", "{config}", split="{split}")[0]
task = TASKS["{task}"]
spec = DataSpec(task="{task}", difficulty={difficulty}, {options})
instance = task.generate(spec, [row["index"]], None)
inputs, targets = task.encode(instance.data, {difficulty}, None)  # one input and one target, uint8
```
{again}
Targets are computed by a solver, not by people.
"""

_AGAIN: Final = """
And all of it, byte for byte (Parquet files with the same version of pyarrow, tensors with any):

```
easy-to-hard build --out data --preset {preset} --seed {seed} --split-rule {split_rule}
```
"""

_STATISTICS: Final = "Statistics of the test splits"
_BINS: Final = " (distributions from the least value to the most, in at most 16 equally wide bins)"

_LEAKAGE: Final = {
    "hash": """\
The hash of an instance (of a maze: of its walls, up to the 8 symmetries of the square; of a chess position: of its
pieces, up to exchange of colors and of left and right; of a string: of its bits) decides which split it belongs to:
80 % train, 10 % validation, 10 % test. So no size, seed or variant brings a test instance into training. No row occurs
twice in a split; mazes with the same walls and another start or goal do, where there are few layouts: the statistics
above count them. This is what is counted in the files of this build:""",
    "original": """\
Every split was drawn from all instances, as in the original datasets, so splits may have instances in common: use this
data to compare with published numbers, and not to claim generalization. No row occurs twice in a split. This is what
is counted in the files of this build:""",
}

_DISTINCT: Final = """\
Mazes count by their walls up to symmetry, whatever their start and goal, over all sizes and variants; chess positions
by their pieces; strings by their bits, within each length that has more than one split."""
_ONE_SPLIT: Final = "There is one split only, so nothing can be in two."

_ORIGINAL: Final = """\
For comparison, the original procedure (sets of 50,000 and 10,000 mazes of size 9, drawn with `split_rule="original"`
and seed 0): 61 % of the test mazes have walls that occur in the training set up to symmetry, 12 % exactly, and 0.5 %
are training mazes."""

_REST: Final = """\
## Limits and biases

{limits}

**What training on it does not show.** A net that is trained on an easy config and solves a harder one extrapolates
along this one axis of difficulty, on instances from the same generator. It does not follow that it does so under
another distribution, in another task, or in language, nor that it plays chess. Choose the number of iterations, and all
settings, on `validation` and not on `test`; the best accuracy over all iterations looks at the targets and is no score.

## How to verify it

`manifest.json` holds the SHA-256 of every file and of its decoded tensors. This reads everything again, makes a sample
of the rows anew and solves it from what a network would see:

```
easy-to-hard verify {repo}
```

`eval.draft.yaml` is a draft: this dataset is no registered benchmark of the Hub. `croissant.json` describes it in
Croissant 1.1, with fields on responsible use; it reads with `mlcroissant`.

## License

MIT, as the package. No data of people or of third parties is in it.

## Citation

Please cite the papers that the tasks are from: {links}.

```bibtex
{bibtex}
```
"""

# Title, authors and year as on arXiv.
PAPERS: Final = (
    (
        "schwarzschild2021algorithm",
        "2106.04537",
        "2021",
        "Can You Learn an Algorithm? Generalizing from Easy to Hard Problems with Recurrent Networks",
        "Schwarzschild, Avi and Borgnia, Eitan and Gupta, Arjun and Huang, Furong and Vishkin, Uzi and "
        "Goldblum, Micah and Goldstein, Tom",
    ),
    (
        "schwarzschild2021datasets",
        "2108.06011",
        "2021",
        "Datasets for Studying Generalization from Easy to Hard Examples",
        "Schwarzschild, Avi and Borgnia, Eitan and Gupta, Arjun and Bansal, Arpit and Emam, Zeyad and "
        "Huang, Furong and Goldblum, Micah and Goldstein, Tom",
    ),
    (
        "bansal2022endtoend",
        "2202.05826",
        "2022",
        "End-to-end Algorithm Synthesis with Recurrent Networks: Logical Extrapolation Without Overthinking",
        "Bansal, Arpit and Schwarzschild, Avi and Borgnia, Eitan and Emam, Zeyad and Huang, Furong and "
        "Goldblum, Micah and Goldstein, Tom",
    ),
)


def dataset_card(header: dict[str, Any], files: Sequence[dict[str, Any]], statistics: FolderStatistics) -> str:
    """The text of README.md: the same for the same arguments, whatever the library versions.

    Args:
        header: package_version, preset, seed and split_rule of the build.
        files: entries of the manifest, with num_bytes.
        statistics: the statistics of these files.
    """
    counts = split_counts(files)
    tasks = [get_task(name) for name in dict.fromkeys(entry["task"] for entry in files)]
    texts = [text_of(task) for task in tasks]
    front = {
        "license": "mit",
        "pretty_name": "Easy-to-hard",
        "tags": [*_TAGS, *(tag for text in texts for tag in text.tags)],
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
    }
    sections = [
        _HEAD.format(
            **header,
            rows=sum(entry["rows"] for entry in files),
            configs=len(counts),
            frozen=f" This is version {VERSION} of the benchmark." if is_frozen(header) else "",
        ),
        _loading(header, tasks, files),
        "## Tasks\n",
        *(_task_section(task, [entry for entry in files if entry["task"] == task.name], statistics) for task in tasks),
        _making(header, tasks, files),
        _leakage(header, statistics),
        _rest(texts),
    ]
    matter = front_matter(files, lambda entry: columns_of(get_task(entry["task"]), entry["difficulty"]), front)
    return f"{matter}\n" + "\n".join(sections)


def _examples(files: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two files of a task for the examples: one to train on, and one of a harder config to test on.

    The first is at the difficulty used for training, if there is one, and the second is at least twice as hard. Where
    there is no such file, another takes its place, so both may be the same.
    """
    train = [entry for entry in files if entry["split"] == "train"] or list(files)
    task = get_task(train[0]["task"])
    usual = [e for e in train if (e["task"], e["difficulty"]) == (task.name, task.train_difficulty)]
    easy = [*usual, train[0]][0]
    tests = [entry for entry in files if entry["task"] == task.name and entry["split"] == "test"] or [easy]
    own = [entry for entry in tests if entry["variant"] == easy["variant"]] or tests
    harder = [entry for entry in own if entry["difficulty"] > easy["difficulty"]] or own
    much_harder = [entry for entry in harder if entry["difficulty"] >= 2 * easy["difficulty"]] or harder
    return easy, min(much_harder, key=lambda entry: int(entry["difficulty"]))


def _options(header: dict[str, Any], entry: dict[str, Any]) -> str:
    """Arguments with which the package gives the instances of a file; those equal to the defaults are left out."""
    given = {"split": entry["split"]}
    variants = get_task(entry["task"]).variants
    if entry["variant"] not in ("", *variants[:1]):
        given["variant"] = entry["variant"]
    if header["seed"] != 0:
        given["seed"] = header["seed"]
    if header["split_rule"] != "hash":
        given["split_rule"] = header["split_rule"]
    return ", ".join(
        f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}" for name, value in given.items()
    )


def _loading(header: dict[str, Any], tasks: Sequence[Task], files: Sequence[dict[str, Any]]) -> str:
    easy, hard = _examples(files)
    loaded: dict[str, int] = {}
    for entry in files:
        loaded[entry["config"]] = loaded.get(entry["config"], 0) + entry["num_bytes"]
    largest = max(loaded, key=lambda config: loaded[config])
    shaped = [entry for entry in files if get_task(entry["task"]).stores_tensors]
    calls = [_call(header, task, [entry for entry in files if entry["task"] == task.name]) for task in tasks]
    return _LOAD.format(
        repo=_REPO,
        packed=_size(sum(entry["bytes"] for entry in files)),
        loaded=_size(sum(loaded.values())),
        largest=largest,
        largest_loaded=_size(loaded[largest]),
        easy=easy,
        hard=hard,
        options=_options(header, hard),
        tensors=_TENSORS.format(repo=_REPO, **_examples(shaped)[0]) if shaped else "",
        classes=", ".join(sorted({call.partition("(")[0] for call in calls})),
        calls="\n".join(calls),
    )


def _call(header: dict[str, Any], task: Task, files: Sequence[dict[str, Any]]) -> str:
    """The call that loads a hard config of a task from the Hub: by the task's own class, or by `load`."""
    _, entry = _examples(files)
    given = f'{_options(header, entry)}, source="hub", repo_id="{_REPO}"'
    if (own := text_of(task).dataset) is None:
        return f'load("{task.name}", {entry["difficulty"]}, {given})'
    name, argument = own
    return f'{name}("", {argument}={entry["difficulty"]}, {given})'


def text_of(task: Task) -> TaskText:
    """A task's texts for a card; those of a task that has none are its description."""
    return task.card or TaskText(question=task.description)


def _size(number: int) -> str:
    """A number of bytes, in the unit that makes it a number from 1 to 999."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number} bytes"


def _task_section(task: Task, files: Sequence[dict[str, Any]], statistics: FolderStatistics) -> str:
    text = text_of(task)
    picture = f"![Solved instances]({image_path(task.name)})" if has_image(task.name) else ""
    parts = [
        f"### {task.title}",
        picture,
        text.question,
        f"From {task.reference}. Training is usually done at {task.train_difficulty} ({task.difficulty_name}).",
        f"Columns, types as in `{files[0]['config']}`:\n\n{_columns(task, files[0], text)}",
        text.decoder,
        *_difficulties(task, files, statistics),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _columns(task: Task, entry: dict[str, Any], text: TaskText) -> str:
    meanings: Mapping[str, str] = {**text.columns, "index": "number of the instance in its stream"}
    rows = [
        [f"`{column.name}`", _type(column), meanings.get(column.name, "")]
        for column in columns_of(task, entry["difficulty"])
    ]
    return markdown_table(["column", "type", "meaning"], rows, texts=3)


def _type(column: Column) -> str:
    """Type and shape of a column."""
    return f"{column.dtype} {column.shape}" if column.shape else column.dtype


def _difficulties(task: Task, files: Sequence[dict[str, Any]], statistics: FolderStatistics) -> list[str]:
    """Tables of row counts, one for each variant, and of statistics; from easy to hard."""
    variants = dict.fromkeys(entry["variant"] for entry in files)
    graded = sorted(files, key=lambda entry: (list(variants).index(entry["variant"]), entry["difficulty"]))
    tables = []
    for variant in variants:
        counts = split_counts([entry for entry in graded if entry["variant"] == variant])
        title = f"Rows by {task.difficulty_name}" + (f", variant {variant}" if variant else "")
        tables.append(folded(title, counts_table(counts)))
    configs = dict.fromkeys(entry["config"] for entry in graded)
    table = _statistics({config: statistics.splits[config] for config in configs})
    return [*tables, folded(_STATISTICS + (_BINS if "distribution" in table else ""), table)]


def _statistics(configs: Mapping[str, Mapping[str, SplitStatistics]]) -> str:
    """A table of statistics of each config's test split, or of its first split where it has no test split."""
    shown = {
        (config, split): splits[split]
        for config, splits in configs.items()
        for split in ["test" if "test" in splits else next(iter(splits))]
    }
    some = next(iter(shown.values()))
    # A column with a single value in each config, like the difficulty itself, says nothing.
    numbers = [
        name
        for name in some.numbers
        if any(part.numbers[name].least < part.numbers[name].most for part in shown.values())
    ]
    ones = some.target_ones is not None
    names = ["config", *(f"distinct `{name}`" for name in some.distinct), *(["ones in targets"] if ones else [])]
    names += [f"`{name}`" for name in some.shares]
    for name in numbers:
        names += [f"`{name}`: least", "median", "mean", "most", "distribution"]
    rows = []
    for (config, split), part in shown.items():
        row = [f"`{config}`" + ("" if split == "test" else f" ({split})")]
        row += [f"{number:,} of {part.rows:,}" for number in part.distinct.values()]
        row += [f"{100 * part.target_ones:.2f} %"] if part.target_ones is not None else []
        row += [f"{100 * share:.1f} %" for share in part.shares.values()]
        for name in numbers:
            number = part.numbers[name]
            row += [f"{number.least:,}", f"{number.median:,.1f}", f"{number.mean:,.1f}", f"{number.most:,}"]
            row.append(f"`{number.sparkline()}`")
        rows.append(row)
    return markdown_table(names, rows)


def _making(header: dict[str, Any], tasks: Sequence[Task], files: Sequence[dict[str, Any]]) -> str:
    _, example = _examples(files)
    generators = [f"`{task.name}`. {text_of(task).generator}".rstrip() for task in tasks]
    planned: dict[str, dict[str, int]] = {}
    for part in PRESETS.get(header["preset"], ()):
        planned.setdefault(part.config, {})[part.split] = part.rows
    return _MADE.format(
        generators="\n\n".join(generators),
        repo=_REPO,
        **{name: example[name] for name in ("config", "split", "task", "difficulty")},
        options=_options(header, example),
        again=_AGAIN.format(**header) if planned == split_counts(files) else "",
    )


def _leakage(header: dict[str, Any], statistics: FolderStatistics) -> str:
    rows = [
        [f"`{overlap.task}`", overlap.split, overlap.other, f"{overlap.distinct:,}", f"{overlap.shared:,}"]
        for overlap in statistics.overlaps
    ]
    names = ["task", "instances of", "that are in", "distinct", "of them in both"]
    table = f"{markdown_table(names, rows, texts=3)}\n\n{_DISTINCT}" if rows else _ONE_SPLIT
    return "\n\n".join(["## Splits and leakage", _LEAKAGE[header["split_rule"]], table, _ORIGINAL]) + "\n"


def _rest(texts: Sequence[TaskText]) -> str:
    return _REST.format(
        limits="\n".join(f"- {limit}" for text in texts for limit in text.limits),
        repo=_REPO,
        links=", ".join(f"[arXiv {number}](https://arxiv.org/abs/{number})" for _, number, *_ in PAPERS),
        bibtex=bibtex(),
    )


def bibtex() -> str:
    """The papers that the tasks are from, in BibTeX."""
    return "\n".join(
        f"@misc{{{key},\n  title = {{{title}}},\n  author = {{{authors}}},\n  year = {{{year}}},\n"
        f"  eprint = {{{number}}},\n  archivePrefix = {{arXiv}}\n}}"
        for key, number, year, title, authors in PAPERS
    )
