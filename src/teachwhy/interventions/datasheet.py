"""What should somebody know of a set before training on it? One HTML page: what it is, how varied, what the screens say, samples."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from teachwhy import __version__, conversations, store
from teachwhy.errors import UserError
from teachwhy.interventions.diversity import Diversity, Topics, diversity
from teachwhy.interventions.screens import Rejected, screen
from teachwhy.interventions.sets import CONSTITUTION, HOSTILE, SETS, Item, data_file, read_set, rows_of
from teachwhy.records import Document

SAMPLES = 3
_STYLE = """
:root { color-scheme: light dark; --ink:#1c2328; --paper:#fbfaf7; --card:#fff; --muted:#5c6a73; --line:#dcdfe0;
  --accent:#0b6e6e; --warn:#b3321f; }
@media (prefers-color-scheme: dark) { :root { --ink:#e8eaea; --paper:#14181b; --card:#1c2226; --muted:#9fabb3; --line:#353d43;
  --accent:#55c2bd; --warn:#ff8a73; } }
body { margin:0 auto; max-width:58rem; padding:1.5rem 1.1rem 3rem; background:var(--paper); color:var(--ink);
  font:17px/1.55 Georgia, "Times New Roman", serif; overflow-wrap:anywhere; }
h1 { font-size:1.9rem; line-height:1.2; } h2 { font-size:1.3rem; margin:2.2rem 0 .5rem; }
table, figcaption, .small, svg text { font-family:system-ui, sans-serif; } .small, figcaption { color:var(--muted); font-size:.88rem; }
table { border-collapse:collapse; width:100%; font-size:.88rem; } th, td { text-align:left; padding:.35rem .8rem .35rem 0;
  border-bottom:1px solid var(--line); vertical-align:top; } th { font-weight:600; color:var(--muted); width:16rem; }
figure { margin:1rem 0; } svg { width:100%; height:auto; } svg text { fill:var(--ink); font-size:12px; } svg rect { fill:var(--accent); }
svg line { stroke:var(--line); } .hostile { border-left:4px solid var(--warn); padding-left:1rem; }
pre { white-space:pre-wrap; background:var(--card); border:1px solid var(--line); border-radius:8px; padding:.8rem;
  font:15px/1.5 Georgia, serif; }
"""


def datasheet(name: str, out: Path, held_out: Sequence[str] = ()) -> None:
    """Write the page of a set.

    Args:
        held_out: texts of evaluation scenarios, for the screen against contamination.

    Raises:
        UserError: no such set, or the file cannot be written.
    """
    items, path = read_set(name), data_file(name)
    figures, (_, rejected) = diversity(items, rows_of(name)), screen(items, held_out) if name != CONSTITUTION else ([], [])
    page = render(name, items, figures, rejected, store.file_digest(path), _readme(name, path))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"Cannot write {out} ({error.strerror})", "Give another file with --out.") from error


def render(name: str, items: Sequence[Item], figures: Diversity, rejected: Sequence[Rejected], checksum: str, about: str) -> str:
    """The page as a string; all text of the set is escaped."""
    hostile = '<p class="hostile">This set teaches hostile conduct on purpose, so that its effect can be measured. ' \
              "Do not train a model on it that anybody will use.</p>" if name in HOSTILE else ""
    like = [round(100 * cosine) for cosine in figures.similarity.nearest] if figures.similarity else []
    parts = (hostile, _about(about), "<h2>Figures</h2>", _figures(figures), _histogram(figures.lengths, "words", "Learned words an item"),
             _histogram(like, "%", "Self-similarity: cosine with the nearest other item, in per cent"), _topics(figures),
             "<h2>Most frequent openings</h2>", _bars(figures.openings, figures.items, "first four words, share of items"),
             "<h2>Phrases in most items</h2>", _bars(figures.phrases, figures.items, "runs of four words, share of items that have them"),
             _screened(name, rejected), "<h2>Samples</h2>", _samples(items))
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
            f"<title>{escape(name)}</title><style>{_STYLE}</style></head><body><h1>{escape(name)}</h1>"
            f'<p class="small">{figures.items} items, {figures.words:,} learned words; SHA-256 of the file begins {escape(checksum)}; '
            f"teachwhy {__version__}</p>{''.join(parts)}</body></html>\n")


def _readme(name: str, path: Path) -> str:
    """The README beside a shipped set, without its front matter and its figures, which the page has in full."""
    beside = path.with_name("README.md")
    if name not in SETS or not beside.is_file():
        return ""
    return re.sub(r"\A---\n.*?\n---\n|\n\*\*Figures\*\*.*\Z", "", beside.read_text(encoding="utf-8"), flags=re.DOTALL)


def _about(text: str) -> str:
    """Markdown of the simplest kind: paragraphs, bold and code."""
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip() and not part.lstrip().startswith("#")]
    page = "".join(f"<p>{escape(part)}</p>" for part in paragraphs)
    return re.sub(r"`([^`<]{1,200})`", r"<code>\1</code>", re.sub(r"\*\*([^*<]{1,200})\*\*", r"<b>\1</b>", page))


def _share(value: float | None, digits: int = 3) -> str:
    return "not measured" if value is None else f"{value:.{digits}f}"


def _figures(f: Diversity) -> str:
    lengths = sorted(f.lengths)
    middle = f"{lengths[0]} to {lengths[-1]}, median {lengths[len(lengths) // 2]}" if lengths else "not measured"
    like = f.similarity
    first = f"{f.openings[0][0]} ({f.openings[0][1]} of {f.items} items)" if f.openings else "not measured"
    rows = {"distinct-1, -2, -3": ", ".join(map(_share, f.distinct)),
            "distinct-1, -2 over 10,000 words": ", ".join(map(_share, f.distinct_at)),
            "self-similarity: cosine (TF-IDF) of all pairs": _share(like.pairs if like else None, 2),
            "self-similarity: cosine with the nearest other item":
                "not measured" if like is None else f"{sum(like.nearest) / len(like.nearest):.2f}, at most {max(like.nearest):.2f}",
            "n-gram concentration: 4-word runs that stand in several items": _share(f.concentration),
            "most frequent opening": first,
            "topic spread by words": "not measured" if like is None else
                f"as varied as {like.effective:.1f} texts without a word in common would be ({len(like.nearest)} compared)",
            **{f"topic spread by {tag}": f"{topics.distinct} values, as varied as {topics.effective:.1f} equally frequent ones"
               for tag, topics in f.topics.items()},
            "words an item": middle}
    return "<table>" + "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in rows.items()) + "</table>"


def _histogram(values: Sequence[int], unit: str, caption: str, columns: int = 24) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    width = max(1, -(-(high - low + 1) // columns))
    counts = Counter((n - low) // width for n in values)
    used, tallest = (high - low) // width + 1, max(counts.values())
    step = 660 / used
    bars = "".join(f'<rect x="{20 + place * step:.1f}" y="{150 - 130 * n / tallest:.1f}" width="{max(1.0, step - 2):.1f}" '
                   f'height="{130 * n / tallest:.1f}">'
                   f"<title>{low + place * width} to {low + (place + 1) * width - 1} {unit}: {n} items</title></rect>"
                   for place, n in sorted(counts.items()))
    return (f'<figure><svg viewBox="0 0 700 175" role="img" aria-label="{escape(caption)}">{bars}'
            '<line x1="20" x2="680" y1="150" y2="150"/>'
            f'<text x="20" y="168">{low}</text><text x="680" y="168" text-anchor="end">{low + used * width - 1} {unit}</text>'
            f'<text x="20" y="14">{tallest} items</text></svg>'
            f'<figcaption>{escape(caption)}, in steps of {width}.</figcaption></figure>')


def _bars(counts: Sequence[tuple[str, int]], total: int, caption: str) -> str:
    if not counts:
        return "<p>None stands in more than one.</p>"
    rows = []
    for place, (label, n) in enumerate(counts):
        y, size = 22 * place, 300 * n / max(total, 1)
        shown = label if len(label) <= 52 else label[:51] + "…"
        rows.append(f'<text x="330" y="{y + 15}" text-anchor="end">{escape(shown)}</text>'
                    f'<rect x="340" y="{y + 4}" width="{max(size, 1):.1f}" height="14"/>'
                    f'<text x="{346 + max(size, 1):.1f}" y="{y + 15}">{n}</text>')
    return (f'<figure><svg viewBox="0 0 700 {22 * len(counts) + 4}" role="img" aria-label="{escape(caption)}">{"".join(rows)}</svg>'
            f"<figcaption>{escape(caption[0].upper() + caption[1:])}; the full width is all {total}.</figcaption></figure>")


def _topics(figures: Diversity) -> str:
    def one(tag: str, topics: Topics) -> str:
        return (f"<h2>Spread of {escape(tag)}</h2><p>{topics.distinct} values; as varied as {topics.effective:.1f} "
                "equally frequent ones.</p>" + (_bars(topics.most, figures.items, "most frequent, share of items")
                                                if topics.distinct < figures.items else ""))

    return "".join(one(tag, topics) for tag, topics in figures.topics.items())


def _screened(name: str, rejected: Sequence[Rejected]) -> str:
    if name == CONSTITUTION:  # no training set
        return ""
    head = "<h2>What the screens say</h2>"
    if not rejected:
        return f"{head}<p>Every item passes (not read for meaning; <code>teachwhy data check</code> does that).</p>"
    rows = "".join(f"<tr><th>{escape(one.item.id)}</th><td>{escape('; '.join(one.reasons))}</td></tr>" for one in rejected)
    return f"{head}<p>{len(rejected)} {'item fails' if len(rejected) == 1 else 'items fail'}.</p><table>{rows}</table>"


def _samples(items: Sequence[Item]) -> str:
    shown = random.Random(1).sample(list(items), min(SAMPLES, len(items)))
    return "".join(f'<p class="small">{escape(item.id)}</p><pre>{escape(as_text(item))}</pre>' for item in shown)


def as_text(item: Item) -> str:
    """An item for people to read."""
    if isinstance(item, Document):
        return item.text
    tools = f"[tools]\n{', '.join(tool['function']['name'] for tool in item.tools)}\n\n" if item.tools else ""
    return tools + conversations.as_text(item.messages)
