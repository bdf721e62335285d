"""The results: raw rows as JSON, and tables of medians in Markdown."""

import json
import os
import statistics


def load(path):
    """What earlier runs have left, or nothing."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"groups": {}}


def save(path, results):
    """Writes the results, all or nothing."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)


def has_errors(row):
    """Whether anything was not answered as it should have been: such a round counts for nothing, and is told."""
    return any(row.get("errors", {}).values())


def values(rows, candidate, key):
    """The values of one figure over all rounds of a candidate without errors, sorted."""
    found = (row.get(key) for row in rows if row["candidate"] == candidate and not has_errors(row))
    return sorted(value for value in found if value is not None)


def median(results, group, candidate, key):
    """The median of a figure over the rounds; None where it was not measured."""
    found = values(results["groups"].get(group, {"rows": []})["rows"], candidate, key)
    return statistics.median(found) if found else None


def remarks(rows, candidate):
    """What a reader has to know of the rows of a candidate: errors, and tokens that ran out."""
    found = []
    rows = [row for row in rows if row["candidate"] == candidate]
    errors = {}
    for row in rows:
        for kind, many in row.get("errors", {}).items():
            errors[kind] = errors.get(kind, 0) + many
    told = [f"{many} {kind}" for kind, many in errors.items() if many]
    if told:
        left_out = sum(map(has_errors, rows))
        found.append(f"ERRORS: {', '.join(told)}; {left_out} of {len(rows)} rounds do not count")
    if any(row.get("ran_out") is not None for row in rows):
        found.append(_tokens(rows))
    if any(row.get("note") for row in rows):
        found.extend(sorted({row["note"] for row in rows if row.get("note")}))
    return "; ".join(found)


def _tokens(rows):
    """What became of tokens that are never sent twice: how many there were, and in how long a round."""
    rows = [row for row in rows if row.get("ran_out") is not None]
    if any(row["ran_out"] for row in rows):
        return "tokens came twice"
    sent, made = max(row["tokens_sent"] for row in rows), min(row["tokens_made"] for row in rows)
    return f"at most {sent:,} of {made:,} tokens in {min(row['seconds'] for row in rows):.0f} s"


def table(group):
    """The Markdown table of a group: medians, with the least and the most in parentheses."""
    rows, columns = group["rows"], group["columns"]
    candidates = list(dict.fromkeys(row["candidate"] for row in rows))
    columns = [column for column in columns if any(values(rows, name, column["key"]) for name in candidates)]
    lines = ["| candidate | " + " | ".join(column["title"] for column in columns) + " | remarks |"]
    lines.append("|---|" + "---:|" * len(columns) + "---|")
    for name in candidates:
        cells = [_cell(values(rows, name, column["key"]), column["digits"]) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {remarks(rows, name)} |")
    return "\n".join(lines)


def _cell(found, digits):
    if not found:
        return ""
    middle = f"{statistics.median(found):,.{digits}f}"
    if len(found) == 1:
        return middle
    return f"{middle} ({found[0]:,.{digits}f} to {found[-1]:,.{digits}f})"


def markdown(results, targets):
    """All tables, those of the targets first."""
    parts = ["# Doorward beside its peers\n\nMade by `benches/compare/run`. Medians over the rounds, the least and the most"]
    parts[0] += " in parentheses; the raw rows are in `compare.json`.\n"
    parts.append(f"## Targets\n\n{targets}\n")
    for group in results["groups"].values():
        settings, machine = group["settings"], group["machine"]
        about = " ".join(group["about"].split())
        told = ", ".join(f"{key} {value}" for key, value in machine.items())
        parts.append(
            f"## {group['title']}\n\n{about}\n\n{table(group)}\n\n"
            f"{settings['rounds']} rounds of {settings['secs']} s. {told}.\n"
        )
    return "\n".join(parts)
