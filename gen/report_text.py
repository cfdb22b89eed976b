"""report.txt: the document of report_model.py as lines for a terminal of WIDTH columns."""

import textwrap

WIDTH = 100
MIN_COLUMN = 8


def wrapped(text, width):
    """Lines no longer than width; words longer than that are cut."""
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def column_widths(columns, rows):
    """Widths that fit in WIDTH with two blanks between: the widest columns give way first."""
    widths = [max(len(title), max(len(cells[i]) for _, cells in rows)) for i, (title, _) in enumerate(columns)]
    least = [min(width, max(MIN_COLUMN, len(title))) for width, (title, _) in zip(widths, columns)]
    room = WIDTH - 2 * len(columns)
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda i: (widths[i] - least[i], -i))
        if widths[widest] <= least[widest]:
            break
        others = sorted((widths[i] for i in range(len(widths)) if i != widest and widths[i] - least[i] < widths[widest] - least[widest]), reverse=True)
        step = max(1, min(sum(widths) - room, widths[widest] - max(least[widest], others[0] if others else 0)))
        widths[widest] -= step
    return widths


def table_lines(block):
    columns, rows = block["columns"], block["rows"]
    widths = column_widths(columns, rows)
    lines = ["Table %d. %s" % (block["number"], block["caption"])]
    lines.append("  " + "  ".join(title.ljust(width) for (title, _), width in zip(columns, widths)).rstrip())
    lines.append("  " + "  ".join("-" * width for width in widths))
    for _, cells in rows:
        if all(len(cell) <= width for cell, width in zip(cells, widths)):
            parts = [[cell] for cell in cells]
        else:
            parts = [[cell] if len(cell) <= width else wrapped(cell, width) for cell, width in zip(cells, widths)]
        for line in range(max(len(part) for part in parts)):
            row = [(part[line] if line < len(part) else "") for part in parts]
            lines.append(("  " + "  ".join(text.rjust(width) if "num" in css else text.ljust(width) for text, width, (_, css) in zip(row, widths, columns))).rstrip())
    return lines


def block_lines(block):
    kind = block["type"]
    if kind == "table":
        return table_lines(block)
    if kind == "note":
        return wrapped(block["text"], WIDTH)
    if kind == "heading":
        return [block["text"], "-" * len(block["text"])]
    if kind == "facts":
        term_width = max(len(term) for term, _, _ in block["items"])
        out = []
        for term, text, _ in block["items"]:
            first, *rest = wrapped(text, WIDTH - term_width - 4)
            out.append("  %s  %s" % (term.ljust(term_width), first))
            out += [" " * (term_width + 4) + line for line in rest]
        return out
    if kind == "figures":
        out = []
        for figure in block["figures"]:
            if figure["lines"]:
                out += ([""] if out else []) + [figure["title"]] + ["  " + line for line in figure["lines"]]
        for one in block["beside"]:
            out += ([""] if out else []) + block_lines(one)
        return out
    out = []
    for group in block["groups"]:
        out += wrapped("%s: %s" % (group["title"], ", ".join("%s %s (%s%s)" % (
            item["name"], item["what"], item["owner"], ", not handed over" if item["later"] else "") for item in group["items"])), WIDTH)
    return out


def lines(report):
    """All lines of the report."""
    title = "Partition of board %s by scenario %s" % (report["board"], report["scenario"])
    out = [title, "=" * len(title)]
    out += [line for text in (report["scenario_text"], report["board_text"]) if text for line in wrapped(text, WIDTH)]
    out += ["", ", ".join("%s %s" % pair for pair in report["figures"])]
    for number, part in enumerate(report["sections"], 1):
        head = "%d. %s" % (number, part["title"])
        out += ["", "", head, "=" * len(head)]
        for text in part["intro"]:
            out += wrapped(text, WIDTH)
        for block in part["blocks"]:
            body = block_lines(block)
            if body:
                out += [""] + body
    return [line.rstrip() for line in out]
