"""What must hold of report.html and report.txt, found by reading them and resolved.xml. Standard library only."""

import base64
import hashlib
import html.parser
import os
import re
import xml.etree.ElementTree as ElementTree

from checks import Wrong

VOID = {"meta", "br"}
HOSTILE = "</title></style><script>alert(1)</script><img src=//192.0.2.1/x onerror=alert(2)>&amp;\"'{{ 7*7 }}\u202e\u009b31m"
# Attributes of resolved.xml that hold text which a person may choose freely, or nearly so.
FREE = {"description", "what", "cmdline", "ready", "ready-on", "source", "text", "key", "machine", "cpu", "memory"}


class Page(html.parser.HTMLParser):
    """Tags in order, text by element, and complaints about what is not well-formed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.cells, self.texts, self.style = [], [], [], [], ""
        self.open, self.wrong = [], []
        self.feed(text)
        self.close()
        if self.open:
            self.wrong.append("not closed: %s" % self.open)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if len(dict(attrs)) != len(attrs):
            self.wrong.append("<%s> has an attribute twice" % tag)
        if tag in ("td", "th", "dd", "li", "h1", "caption", "desc", "p", "text"):
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append("</%s> closes something else" % tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.texts.append(data)
            if self.cells:
                self.cells[-1] += data


def need(condition, message):
    if not condition:
        raise Wrong(message)


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8", newline="") as file:
        return file.read()


def page_is_sound(folder):
    """Well-formed, nothing from outside, nothing that runs, everything named."""
    text = read(folder, "report.html")
    page = Page(text)
    need(not page.wrong, "not well-formed: " + "; ".join(page.wrong[:5]))
    need("\r" not in text and text.endswith("</html>\n"), "line ends or the end of the page are odd")
    for banned in ("script", "link", "img", "iframe", "object", "embed", "form", "base", "audio", "video", "image", "use", "foreignobject"):
        need(banned not in page.tags, "the page has a <%s>" % banned)
    identifiers = [attributes["id"] for _, attributes in page.attributes if "id" in attributes]
    need(len(identifiers) == len(set(identifiers)), "an id is there twice")
    known = set(identifiers)
    for tag, attributes in page.attributes:
        for name, value in attributes.items():
            need(not name.startswith("on") and name not in ("style", "src", "srcset", "data", "action", "ping", "xlink:href"), "<%s> has the attribute %s" % (tag, name))
            if name == "href":
                need(value[:1] == "#" and value[1:] in known, "a link leads to %r" % value)
            if name in ("aria-labelledby", "aria-describedby"):
                need(value in known, "%s names %r, which is not there" % (name, value))
            if name == "fill":
                found = re.fullmatch(r"url\(#([a-z0-9-]+)\)", value)
                need(found and found.group(1) in known, "a fill is %r" % value)
    need("url(" not in page.style and "@import" not in page.style and "://" not in page.style, "the style sheet loads something")
    policy = next(attributes["content"] for tag, attributes in page.attributes if attributes.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    need(policy == "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'" % digest, "the content security policy is " + policy)
    has_parts(page)
    return page


def has_parts(page):
    """Language, landmarks, heading order, captions, scopes, titles of drawings."""
    need(dict(page.attributes)["html"].get("lang") == "en", "the page has no language")
    for tag in ("header", "nav", "main", "footer", "title"):
        need(tag in page.tags, "the page has no <%s>" % tag)
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
    need(levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:])), "headings skip a level: %s" % levels)
    need(page.tags.count("table") == page.tags.count("caption"), "a table has no caption")
    need(all(attributes.get("scope") in ("row", "col") for tag, attributes in page.attributes if tag == "th"), "a <th> has no scope")
    drawings = [attributes for tag, attributes in page.attributes if tag == "svg" and attributes.get("role") == "img"]
    others = [attributes for tag, attributes in page.attributes if tag == "svg" and attributes.get("role") != "img"]
    need(len(drawings) == page.tags.count("desc") and drawings, "a drawing has no description")
    need(all(attributes.get("aria-hidden") == "true" for attributes in others), "an ornament is not hidden from screen readers")


def plain(text):
    """Without blanks, as text may be wrapped, and what is hidden made visible as the report does it."""
    return re.sub(r"\s+", "", text)


def words_of(root):
    """What the report must say of each part of the model: {what: [texts, each whole in one cell]}."""
    wanted = {}
    vms = root.findall("scenario/vm")
    for vm in vms:
        wanted["vm " + vm.get("name")] = [vm.get("name"), vm.get("key"), vm.find("boot").get("cmdline")] + ["%#x" % int(mem.get("hpa"), 0) for mem in vm.findall("mem")]
        for device in vm.findall("device"):
            wanted["device %s of %s" % (device.get("address"), vm.get("name"))] = [device.get("address"), device.get("virtual")] + [
                "BAR %s at %#x" % (bar.get("index"), int(bar.get("gpa"), 0)) for bar in device.findall("vbar")]
        for uart in vm.findall("vuart"):
            wanted["vUART %s of %s" % (uart.get("port"), vm.get("name"))] = [uart.get("port"), "vUART " + uart.get("port")]
        for irq in vm.findall("irq"):
            wanted["GSI %s of %s" % (irq.get("gsi"), vm.get("name"))] = ["GSI " + irq.get("gsi"), "%s line %s" % (vm.get("name"), irq.get("line"))]
    for tag in ("ram", "reserved", "window"):
        for place in root.findall("board/" + tag):
            base, size = int(place.get("base"), 0), int(place.get("size"), 0)
            wanted["%s at %#x" % (tag, base)] = ["%#x" % base, "%#x" % (base + size - 1), place.get("what", "")]
    for tag in ("ioapic", "iommu", "lapic"):
        for place in root.findall("board/" + tag):
            wanted["%s at %s" % (tag, place.get("base"))] = ["%#x" % int(place.get("base"), 0)]
    for function in root.findall("board/function"):
        texts = [function.get("address"), "%04x:%04x" % (int(function.get("vendor"), 0), int(function.get("device"), 0))]
        texts += ["%s: %#x+" % (bar.get("index"), int(bar.get("base"), 0)) for bar in function.findall("bar")]
        texts += ["GSI %s" % intx.get("gsi") for intx in function.findall("intx")]
        texts += ["MSI-X %s (BAR %s)" % (msix.get("vectors"), msix.get("bar")) for msix in function.findall("msix")]
        group = int(function.get("iommu-group"), 0)
        wanted["function " + function.get("address")] = texts + ["own" if group == 0xffffffff else "%d" % group]
    for name, attribute in (("scenario/module", "name"), ("scenario/module", "source"), ("board/quirk", "name"), ("board/feature", "name"), ("board/uart", "name"),
                            ("scenario/shm", "name"), ("warning", "text"), ("warning", "rule"), ("board/mitigation", "name")):
        for element in root.findall(name):
            wanted.setdefault("%s %s" % (name, attribute), []).append(element.get(attribute))
    for shm in root.findall("scenario/shm"):
        wanted["uses of " + shm.get("name")] = ["%#x" % int(shm.get("base"), 0)] + ["%#x" % int(user.get("gpa"), 0) for user in shm.findall("user")]
    for link in root.findall("scenario/link"):
        wanted["link"] = ["%s, port %s" % (vms[int(end.get("vm"), 0)].get("name"), end.get("port")) for end in link.findall("end")]
    for one in root.findall("scenario/cache-class"):
        wanted["cache class " + one.get("id")] = [one.get("mask")]
    for state in root.findall("board/px"):
        wanted["px " + state.get("core-mhz")] = [state.get("core-mhz") + " MHz"]
    return wanted


def columns_of(text):
    """What stands in each column of each table of report.txt, one under the other, as cells may go over several lines."""
    columns, spans = [], []
    for line in text.split("\n"):
        if re.fullmatch(r"  -+(  -+)*", line):
            spans = [match.span() for match in re.finditer(r"-+", line)]
            columns += [""] * len(spans)
        elif not line:
            spans = []
        for place, (begin, end) in enumerate(spans):
            columns[place - len(spans)] += line[begin:end]
    return columns


def says_everything(folder):
    """Every part of resolved.xml stands in the page, whole in one of its elements, and in the text."""
    root = ElementTree.parse(os.path.join(folder, "resolved.xml")).getroot()
    page = Page(read(folder, "report.html"))
    cells = "\n".join(plain(cell) for cell in page.cells)
    text = read(folder, "report.txt")
    joined = plain(text) + "\n" + "\n".join(map(plain, columns_of(text)))
    for what, texts in words_of(root).items():
        for wanted in map(plain, texts):
            need(wanted in cells, "report.html does not say %r of %s" % (wanted, what))
            need(wanted in joined, "report.txt does not say %r of %s" % (wanted, what))
    for line in text.split("\n"):
        need(len(line) <= 100, "report.txt has a line of %d columns: %s" % (len(line), line))
        need(not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line), "report.txt has a control character: %r" % line)


def make_hostile(source, folder):
    """A copy of a resolved.xml in which every free text is an attack."""
    tree = ElementTree.parse(source)
    count = 0
    for element in tree.getroot().iter():
        for name, value in element.attrib.items():
            numeric = re.fullmatch(r"0x[0-9a-f]+|[0-9]+|yes|no", value)
            if value and (name in FREE and not numeric or name == "name" and element.tag in ("vm", "module", "shm", "board", "scenario", "quirk")):
                element.set(name, HOSTILE + value)
                count += 1
    tree.write(os.path.join(folder, "resolved.xml"), encoding="utf-8", xml_declaration=True)
    return count


def hostile_is_text(calm, hostile):
    """The same elements in the same order as without the attack, and the attack is there to be read."""
    pages = [Page(read(folder, "report.html")) for folder in (calm, hostile)]
    need(pages[0].tags == pages[1].tags, "the texts change the elements of the page")
    page_is_sound(hostile)
    joined = "".join(pages[1].texts)
    need("<script>alert(1)</script>" in joined and "{{ 7*7 }}" in joined and "onerror=alert(2)" in joined, "the texts are not shown as they are")
    need("\\u{202e}" in joined and "\u202e" not in joined and "\u009b" not in joined, "characters that turn or hide text are not made visible")
    text = read(hostile, "report.txt")
    need(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), "report.txt has control characters")


def platform_agrees(root, folder):
    """The addresses that the report gives of virtual devices are those of the hypervisor."""
    with open(os.path.join(root, "src/x86/vdev/platform_map.h"), encoding="utf-8") as file:
        header = file.read()
    guests = ElementTree.parse(os.path.join(folder, "resolved.xml")).getroot().findall("scenario/vm[@kind='pre-launched']")
    text = read(folder, "report.txt")
    for name, what in (("LAPIC", "local APIC"), ("IOAPIC", "I/O APIC")):
        base = int(re.search(r"PLAT_%s_BASE +(0x[0-9a-f]+)" % name, header).group(1), 0)
        size = int(re.search(r"PLAT_%s_SIZE +(0x[0-9a-f]+)" % name, header).group(1), 0)
        found = re.findall(r"^ *%#x +%#x +4 KiB +%s +virtual$" % (base, base + size - 1, what), text, re.MULTILINE)
        need(len(found) >= len(guests) > 0, "report.txt does not place the virtual %s at %#x" % (what, base))
