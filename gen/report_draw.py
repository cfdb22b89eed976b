"""Drawings of report.html as plain shapes: rectangles, paths and texts with all positions worked out. The template only writes them down.

A drawing is a dict of title, desc, width, height (in CSS pixels, the viewBox too), rects (x, y, width, height, class, fill), paths (d, class),
texts (x, y, anchor, class, text) and lines, the same drawing for a terminal or None. Texts are cut to the room they have by an estimate that
is an upper bound for the fonts that the style sheet names, so none can meet another.
"""

import heapq
import re
import unicodedata

GAP = 16         # pixels that stand for an address gap too long to be drawn
ROW = 17         # pixels from one label to the next
STRIP = 350      # pixels of a strip of many regions
EACH = 44        # pixels for each region of a strip of few
SMALL = 12       # regions lower than this are looked at closer, in a detail of their own
MIN_ROWS = 3     # fewer small ones than this can be labelled where they are
MAX_ROWS = 40    # labels beside one strip
CROWD = 200      # pieces of a strip from which on not all are drawn
MAX_STRIPS = 9   # drawings of one map
MAX_DEPTH = 4
BAND = 16        # columns of a matrix side by side
MAX_MATRIX_ROWS = 72

ODD = re.compile(r"[^ -~]")
NARROW = set("iljtfrI|!.,:;'()[]/ -")
WIDE = set("mwMW@%")


def shown(text):
    """Text of a file as it may be displayed: characters that would move the cursor, hide, or turn the direction of writing become visible."""
    if not ODD.search(text):
        return text
    return "".join("\\u{%x}" % ord(char) if unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp") else char for char in text)


def text_width(text, size, mono=False):
    """At most this wide, in pixels."""
    width = 0.0
    for char in text:
        if char > "~":
            width += 1.1
        elif mono:
            width += 0.62
        else:
            width += 0.42 if char in NARROW else 1.0 if char in WIDE else 0.78 if char.isupper() else 0.65
    return width * size


def fitted(text, room, size, mono=False):
    """The text, cut with an ellipsis when it may be wider than room."""
    if text_width(text, size, mono) <= room:
        return text
    while text and text_width(text + "\u2026", size, mono) > room:
        text = text[:-1]
    return text.rstrip() + "\u2026"


def size_text(size):
    """A size for people: exact where that is short."""
    for unit, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            value = size / unit
            return ("%d %s" if size % unit == 0 else "%.2f %s" if value < 10 else "%.1f %s" if value < 100 else "%.0f %s") % (
                size // unit if size % unit == 0 else value, name)
    return "%d B" % size


def span_text(low, high):
    return "%#x \u2013 %#x" % (low, high - 1)


def drawing(title, desc, width):
    return {"title": title, "desc": desc, "width": width, "height": 0, "rects": [], "paths": [], "texts": [], "lines": None}


def number(value):
    """A coordinate, short and the same on every machine."""
    return ("%.1f" % value).replace(".0", "")


def rect(figure, x, y, width, height, css, fill=None):
    figure["rects"].append((number(x), number(y), number(width), number(height), css, fill))


def path(figure, d, css):
    """d: numbers with one decimal or none."""
    figure["paths"].append((d.replace(".0", ""), css))


def label(figure, x, y, text, css="", anchor="start"):
    figure["texts"].append((number(x), number(y), anchor, css, text))


# ---- address maps ----------------------------------------------------------------------------------------------------------------

def flatten(layers):
    """Disjoint pieces, ascending, from ranges that may lie over each other: where several do, the one with the highest rank shows. A range is
    a dict with low, high, rank and whatever else; pieces are copies of it with their own low and high, split where something else shows.
    Bounded by n log n."""
    layers = sorted((layer for layer in layers if layer["low"] < layer["high"]), key=lambda layer: (layer["low"], -layer["rank"]))
    edges = sorted({layer["low"] for layer in layers} | {layer["high"] for layer in layers})
    pieces, active, place = [], [], 0
    for low, high in zip(edges, edges[1:]):
        while place < len(layers) and layers[place]["low"] <= low:
            heapq.heappush(active, (-layers[place]["rank"], place))
            place += 1
        while active and layers[active[0][1]]["high"] <= low:
            heapq.heappop(active)
        if not active:
            continue
        top = layers[active[0][1]]
        if pieces and pieces[-1]["of"] is top and pieces[-1]["high"] == low:
            pieces[-1]["high"] = high
        else:
            pieces.append({**top, "low": low, "high": high, "of": top})
    return pieces


def stretch(pieces):
    """Pixels of each byte, and the gap length beyond which a gap is cut out, for pieces drawn on one strip."""
    covered = sum(piece["high"] - piece["low"] for piece in pieces)
    cut = max(covered // 16, 1)
    gaps = [after["low"] - before["high"] for before, after in zip(pieces, pieces[1:])]
    drawn = covered + sum(gap for gap in gaps if gap <= cut)
    room = max(min(STRIP, EACH * (len(pieces) + 1)) - GAP * sum(gap > cut for gap in gaps), EACH)
    return room / drawn, cut


def cluster(pieces, scale, cut):
    """Rows of a strip: lists of pieces, those with more than one are too small to be told apart here. The piece that fills most of a row's
    span stays alone."""
    rows, run = [], []

    def end_run():
        strong = sum(not piece["weak"] for piece in run)
        if strong >= MIN_ROWS:
            rows.append(list(run))
        else:
            rows.extend([piece] for piece in run)
        run.clear()

    for piece in pieces:
        small = (piece["high"] - piece["low"]) * scale < SMALL
        near = run and (piece["low"] - run[-1]["high"]) <= cut and (piece["high"] - run[0]["low"]) * scale < STRIP / 4
        if run and not (small and near):
            end_run()
        if small:
            run.append(piece)
        else:
            rows.append([piece])
    end_run()
    return rows


def thinned(rows):
    """At most MAX_ROWS rows, by putting neighbours together."""
    if len(rows) <= MAX_ROWS:
        return rows
    each = -(-len(rows) // MAX_ROWS)
    return [[piece for row in rows[start:start + each] for piece in row] for start in range(0, len(rows), each)]


def spread(wanted, distance, first):
    """Positions as near as possible to the wanted ones (ascending), at least `distance` apart, none before `first`."""
    blocks = []  # (sum of wanted minus offsets, count): each stands as close together as it may
    for place in wanted:
        blocks.append([place, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] + distance * blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total - distance * blocks[-1][1] * count
            blocks[-1][1] += count
    result, floor = [], first
    for total, count in blocks:
        begin = max(total / count, floor)
        result += [begin + distance * i for i in range(count)]
        floor = begin + distance * count
    return result


STRIP_WIDTH, STRIP_X, STRIP_W, ROW_X = 500, 12, 46, 88


def place_pieces(figure, pieces, scale, cut, top):
    """Draws the strip; where each piece lies, as {low: (y, height)}, and the y below the last. In a crowd, what would lie under its neighbour's line is
    left out."""
    places, y, before, drawn = {}, top, None, -1.0
    for piece in pieces:
        gap = piece["low"] - before if before is not None else 0
        if gap > cut:
            for dy in (5, 11):
                path(figure, "M%.1f %.1fq%.1f -6 %.1f 0t%.1f 0" % (STRIP_X, y + dy, STRIP_W / 4, STRIP_W / 2, STRIP_W / 2), "break")
            y += GAP
        elif gap:
            y += gap * scale
        height = (piece["high"] - piece["low"]) * scale
        if y + height > drawn + 0.5 or len(pieces) < CROWD:
            rect(figure, STRIP_X, y, STRIP_W, max(height, 2), "weak" if piece["weak"] else "piece", piece["fill"])
            drawn = y + height
        places[piece["low"]] = (y, height)
        y += height
        before = piece["high"]
    return places, y


def row_label(figure, row, y, detail):
    """One line beside the strip: address, what, size."""
    low, high = row[0]["low"], row[-1]["high"]
    label(figure, ROW_X, y + 4, "%#x" % low, "mono")
    size = size_text(high - low)
    label(figure, STRIP_WIDTH - 2, y + 4, size, "num", "end")
    name_x = ROW_X + max(82, text_width("%#x" % low, 11, True) + 8)
    room = STRIP_WIDTH - 2 - text_width(size, 12) - 8 - name_x
    if len(row) > 1:
        label(figure, name_x, y + 4, fitted("%s: %d regions" % (detail or "see table", len(row)), room, 12), "strong")
    else:
        label(figure, name_x, y + 4, fitted(row[0]["name"], room, 12), "dim" if row[0]["weak"] else "")


def one_strip(pieces, title, depth, take_name):
    """One drawing and the rows of it that need details: [(name, pieces)]."""
    figure = drawing(title, "", STRIP_WIDTH)
    scale, cut = stretch(pieces)
    rows = thinned(cluster(pieces, scale, cut)) if len(pieces) > MIN_ROWS else [[piece] for piece in pieces]
    places, bottom = place_pieces(figure, pieces, scale, cut, 12.0)
    labelled, details = [], []
    for row in rows:
        y = places[row[0]["low"]][0]
        last_y, last_height = places[row[-1]["low"]]
        if len(row) == 1 and row[0]["weak"] and last_height < SMALL and len(pieces) > MIN_ROWS:
            continue  # room between others; the table has it
        name = None
        if len(row) > 1 and depth < MAX_DEPTH and (len(row) < len(pieces)):
            name = take_name()
            if name:
                details.append((name, row))
                path(figure, "M%.1f %.1fh-4V%.1fh4" % (STRIP_X - 2, y, max(last_y + last_height, y + 2)), "bracket")
        labelled.append((row, (y + last_y + max(last_height, 2)) / 2, name))
    ys = spread([middle for _, middle, _ in labelled], ROW, 12.0)
    for (row, middle, name), y in zip(labelled, ys):
        path(figure, "M%.1f %.1fL%.1f %.1fL%.1f %.1fh8" % (STRIP_X + STRIP_W, middle, STRIP_X + STRIP_W + 3, middle, ROW_X - 13, y), "leader")
        row_label(figure, row, y, name)
    figure["height"] = int(max([bottom] + ys) + 14)
    return figure, details


def address_map(pieces, title, what):
    """Drawings of disjoint ascending pieces: one of everything to scale, with long gaps cut out, and details of what is too small on it. A piece
    has low, high, name, fill and weak (room that nobody needs a name for)."""
    if not pieces:
        return []
    count = 0
    waiting = [(title, pieces, 0)]
    figures = []

    def take_name():
        nonlocal count
        if count + 1 >= MAX_STRIPS:
            return None
        count += 1
        return "Detail " + chr(ord("A") + count - 1)

    while waiting:
        name, part, depth = waiting.pop(0)
        heading = name if depth == 0 else "%s: %s" % (name, span_text(part[0]["low"], part[-1]["high"]))
        figure, details = one_strip(part, heading, depth, take_name)
        unlike = sorted({piece["name"] for piece in part if not piece["weak"]})
        figure["desc"] = "%s from %#x to %#x, to scale, lowest address on top: %d regions (%s). The table below has the same facts." % (
            what, part[0]["low"], part[-1]["high"] - 1, len(part), ", ".join(unlike[:12]) + (" and others" if len(unlike) > 12 else ""))
        figures.append(figure)
        waiting += [(detail, row, depth + 1) for detail, row in details]
    return figures


# ---- who has what: rows by columns -----------------------------------------------------------------------------------------------

CELL_W, CELL_H, HEAD_H = 34, 24, 15


def matrix(title, desc, rows, columns, cells, joins=()):
    """A drawing of at most BAND columns for each band. rows: (name, fill). columns: up to three short texts each. cells: {(row, column): (kind, text)}
    with kind full, maybe or dot. joins: (column, first row, last row), a line that ties cells of a column together."""
    figures = []
    room = min(210, max([text_width(name, 12) for name, _ in rows] + [40]) + 24)
    heads = max([len(column) for column in columns] + [1])
    for start in range(0, len(columns), BAND):
        band = range(start, min(start + BAND, len(columns)))
        figure = drawing(title if len(columns) <= BAND else "%s (%s to %s)" % (title, columns[band[0]][0], columns[band[-1]][0]), desc,
                         int(room + CELL_W * len(band) + 4))
        top = heads * HEAD_H + 4
        for column in band:
            x = room + (column - start) * CELL_W
            for line, text in enumerate(columns[column]):
                label(figure, x + CELL_W / 2, line * HEAD_H + 12, fitted(text, CELL_W - 2, 11), "head" if line == 0 else "dim small", "middle")
        for row, (name, fill) in enumerate(rows[:MAX_MATRIX_ROWS]):
            y = top + row * CELL_H
            rect(figure, 0, y, room + CELL_W * len(band), CELL_H, "lane" if row % 2 else "lane odd")
            rect(figure, 2, y + 7, 10, 10, "piece", fill)
            label(figure, 18, y + 16, fitted(name, room - 20, 12), "")
        for column, first, last in joins:
            if column in band and last < MAX_MATRIX_ROWS:
                x = room + (column - start + 0.5) * CELL_W
                rect(figure, x - 1, top + (first + 0.5) * CELL_H, 2, (last - first) * CELL_H, "join")
        for (row, column), (kind, text) in cells.items():
            if column not in band or row >= MAX_MATRIX_ROWS:
                continue
            x, y = room + (column - start) * CELL_W, top + row * CELL_H
            rect(figure, x + 2, y + 2, CELL_W - 4, CELL_H - 4, "cell " + kind, rows[row][1] if kind == "full" else None)
            if kind == "full" and text:
                rect(figure, x + CELL_W / 2 - 9, y + 5, 18, CELL_H - 10, "plate")
            if text:
                label(figure, x + CELL_W / 2, y + 16, fitted(text, CELL_W - 4, 11), "incell", "middle")
        figure["height"] = top + min(len(rows), MAX_MATRIX_ROWS) * CELL_H + 2
        figure["lines"] = matrix_lines(rows, columns, cells, band)
        figures.append(figure)
    return figures


def matrix_lines(rows, columns, cells, band):
    """The same for a terminal; a cell that may be used stands in brackets."""
    names = [fitted(name, 20 * 12 * 0.62, 12, True) for name, _ in rows[:MAX_MATRIX_ROWS]]
    first = max(len(name) for name in names) + 1
    width = max([len(text) for column in band for text in columns[column]] + [3]) + 1
    lines = []
    for line in range(max(len(columns[column]) for column in band)):
        lines.append(" " * first + "".join((columns[column][line] if line < len(columns[column]) else "").rjust(width) for column in band))
    for row, name in enumerate(names):
        shown_cells = []
        for column in band:
            kind, text = cells.get((row, column), ("", "."))
            shown_cells.append(("(%s)" % text if kind == "maybe" else text or "#").rjust(width))
        lines.append(name.ljust(first) + "".join(shown_cells))
    return lines


# ---- routes ----------------------------------------------------------------------------------------------------------------------

MAX_ROUTES = 40


def routes(title, desc, heads, rows):
    """Rows of three boxes with arrows between them: (source, by way of, destination, fill, solid). solid: it works that way today."""
    widths, gap = (150, 190, 190), 34
    figure = drawing(title, desc, sum(widths) + 2 * gap + 4)
    lefts = [2, 2 + widths[0] + gap, 2 + widths[0] + widths[1] + 2 * gap]
    for left, head in zip(lefts, heads):
        label(figure, left, 12, head, "head")
    for place, (*texts, fill, solid) in enumerate(rows[:MAX_ROUTES]):
        y = 22 + place * 28
        for i, text in enumerate(texts):
            rect(figure, lefts[i], y, widths[i], 22, "box" if solid else "box later")
            inset = 8
            if i == 2:
                rect(figure, lefts[i] + 5, y + 6, 10, 10, "piece", fill)
                inset = 21
            label(figure, lefts[i] + inset, y + 15, fitted(text, widths[i] - inset - 6, 12), "")
            if i < 2:
                x = lefts[i] + widths[i]
                path(figure, "M%.1f %.1fh%.1f" % (x + 2, y + 11, gap - 9), "route" if solid else "route later")
                path(figure, "M%.1f %.1fl-7 -4v8z" % (x + gap - 2, y + 11), "arrow")
    figure["height"] = 22 + min(len(rows), MAX_ROUTES) * 28 + 2
    return figure
