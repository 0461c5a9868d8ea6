"""Write the operator reference, ``docs/reference/*.md``, from the registry: an index, and one page a family.

    python docs/make_reference.py            say which pages are out of date
    python docs/make_reference.py --write    write them

The package must be importable: installed, or with PYTHONPATH=. from the root of the checkout.

Every word of it stands in an operator's class, so nothing is edited here or there. A test holds the pages to this.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import symgraph.ops
from symgraph.op import Input, Op, all_operators
from symgraph.op.docs import shown_default, signature

FOLDER = Path(__file__).resolve().parent / "reference"
#: Where operators whose names begin so are found under ``mx.sym``.
PLACES = {"_contrib_": "contrib", "_linalg_": "linalg", "_sparse_": "sparse", "_image_": "image", "_": "_internal"}


def pages() -> dict[str, str]:
    """Return the text of each page by file name."""
    families: dict[str, list[type[Op]]] = {}
    for cls in all_operators():
        if cls.__module__.startswith("symgraph.ops."):  # not those that a program has added
            families.setdefault(cls.__module__.rpartition(".")[2], []).append(cls)
    found = {f"{name}.md": page(name, families[name]) for name in sorted(families)}
    found["README.md"] = index(families)
    return found


def index(families: dict[str, list[type[Op]]]) -> str:
    lines = [
        "# Operators",
        "",
        "Written by `docs/make_reference.py` from the operators' classes; do not edit.",
        "",
        "Every operator is a function under `mx.sym`, which composes it, and under `mx.nd`, which computes it at once.",
        "",
        "| page | what it holds |",
        "|---|---|",
    ]
    for name in sorted(families):
        summary = first_paragraph(module_of(families[name][0]).__doc__ or "")
        lines.append(f"| [{name}]({name}.md), {len(families[name])} operators | {cell(summary)} |")
    lines += ["", "## All names", "", "| operator | also called | |", "|---|---|---|"]
    rows = [(cls, name) for name, members in families.items() for cls in members]
    for cls, name in sorted(rows, key=lambda row: row[0].op_name.lower().lstrip("_")):
        also = ", ".join(f"`{alias}`" for alias in cls.aliases)
        summary = first_paragraph(inspect.cleandoc(cls.__doc__ or ""))
        lines.append(f"| [`{cls.op_name}`]({name}.md#{anchor(cls.op_name)}) | {also} | {cell(summary)} |")
    return "\n".join(lines) + "\n"


def page(name: str, members: Sequence[type[Op]]) -> str:
    text = inspect.cleandoc(module_of(members[0]).__doc__ or "")
    lines = [
        f"# Operators: {name}",
        "",
        "Written by `docs/make_reference.py` from the operators' classes; do not edit.",
        "",
    ]
    lines += [markdown(first_paragraph(text)), "", ", ".join(f"[`{c.op_name}`](#{anchor(c.op_name)})" for c in members)]
    for cls in members:
        lines += ["", *section(cls)]
    return "\n".join(lines) + "\n"


def section(cls: type[Op]) -> list[str]:
    """Return one operator's part of a page."""
    call = re.sub(
        r", \*, name=None, attr=None|\*, name=None, attr=None|, name=None, attr=None", "", str(signature(cls))
    )
    lines = [f"## {cls.op_name}", "", "```text", f"mx.sym.{function_name(cls.op_name)}{call}", "```", ""]
    lines += [markdown(inspect.cleandoc(cls.__doc__ or "")), ""]
    if cls.inputs:
        lines += ["| input | | meaning |", "|---|---|---|"]
        lines += [
            f"| {'*' if i.variadic else ''}`{i.name}` | {input_notes(cls, i)} | {cell(i.doc)} |" for i in cls.inputs
        ]
        lines.append("")
    if cls.params:
        lines += ["| parameter | type | default | meaning |", "|---|---|---|---|"]
        for p in cls.params:
            default = "required" if p.required else f"`{shown_default(p)!r}`"
            bounds = [f"{sign} {n}" for sign, n in ((">=", p.ge), (">", p.gt), ("<=", p.le)) if n is not None]
            label = " ".join([p.type.label, *bounds]) + (", live" if p.live else "")
            lines.append(f"| `{p.name}` | {cell(label)} | {default} | {cell(p.doc)} |")
        lines.append("")
    facts = [f"Outputs: {outputs(cls)}."]
    if cls.aliases:
        facts.append("Also called " + ", ".join(f"`{alias}`" for alias in cls.aliases) + ".")
    facts.append(gradient(cls))
    if any(p.live for p in cls.params):
        facts.append("Live parameters may change between the steps of a bound graph.")
    return [*lines, " ".join(facts)]


def function_name(operator: str) -> str:
    prefix = next((p for p in PLACES if operator.startswith(p)), None)
    if prefix is None:
        return operator
    return f"{PLACES[prefix]}.{operator if prefix == '_' else operator.removeprefix(prefix)}"


def input_notes(cls: type[Op], given: Input) -> str:
    notes = []
    if given.variadic:
        notes.append(
            f"any number, counted by `{given.counted_by}`" if given.counted_by in cls._param_index else "any number"
        )
    if given.when is not None:
        notes.append("present only with some parameters")
    if given.mutates:
        notes.append("auxiliary state, renewed")
    return ", ".join(notes)


def outputs(cls: type[Op]) -> str:
    """Say which outputs there are, hidden ones included; where parameters decide, as the samples have them."""
    ops = [cls(**sample.params) for sample in cls.samples]
    variants = list(dict.fromkeys((op.output_names(), op.num_visible()) for op in ops)) or [
        (cls.outputs, len(cls.outputs))
    ]

    def told(names: Sequence[str], visible: int) -> str:
        if not names:
            return "none"
        return ", ".join(f"`{n}`" + (" (hidden)" if k >= visible else "") for k, n in enumerate(names))

    if len(variants) == 1 and cls.output_names is Op.output_names:
        return told(*variants[0])
    return "as the parameters decide, for example " + "; or ".join(told(*v) for v in variants[:2])


def gradient(cls: type[Op]) -> str:
    if not cls.differentiable:
        return "It has no gradient."
    if cls.is_loss:
        return "Its gradient reads no head gradient."
    return "Its gradient is written by hand." if cls.backward is not None else "Its gradient is derived from `compute`."


# -- text ---------------------------------------------------------------------------------------------------------


def module_of(cls: type[Op]) -> ModuleType:
    return sys.modules[cls.__module__]


def first_paragraph(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def markdown(text: str) -> str:
    """Turn the markup of docstrings into Markdown: formulas and code."""
    text = re.sub(r":math:`([^`]+)`", r"$\1$", text)
    return text.replace("``", "`")


def cell(text: str) -> str:
    return markdown(" ".join(text.split())).replace("|", "\\|")


def anchor(heading: str) -> str:
    return heading.lower()


def main(arguments: Sequence[str]) -> int:
    wanted = pages()
    files = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.md")}
    stale = sorted(n for n in {*wanted, *files} if wanted.get(n) != files.get(n))
    if "--write" in arguments:
        FOLDER.mkdir(exist_ok=True)
        for name in stale:
            if name in wanted:
                (FOLDER / name).write_text(wanted[name], encoding="utf-8")
            else:
                (FOLDER / name).unlink()
        print(f"{len(stale)} of {len(wanted)} pages written")
        return 0
    print(f"{len(wanted)} pages, {len(stale)} out of date" + (f": {', '.join(stale)}" if stale else ""))
    return 0


if __name__ == "__main__":
    assert symgraph.ops.__all__  # importing the package registered the operators
    raise SystemExit(main(sys.argv[1:]))
