"""docs/HYPERCALLS.md has a row for every call, and every test that it names exists. Usage: check_doc.py ROOT"""

import glob
import os
import re
import sys

# The functions of the API document, each with the low bytes of the ids behind it.
API = {
    "hcall_sos_offline_cpu": ["01"], "hcall_get_api_version": ["00"], "hcall_get_platform_info": ["03"], "hcall_create_vm": ["10"],
    "hcall_destroy_vm": ["11"], "hcall_reset_vm": ["15"], "hcall_start_vm": ["12"], "hcall_pause_vm": ["13"], "hcall_create_vcpu": ["14"],
    "hcall_set_vcpu_regs": ["16"], "hcall_set_irqline": ["25"], "hcall_inject_msi": ["23"], "hcall_set_ioreq_buffer": ["30"],
    "hcall_notify_ioreq_finish": ["31"], "hcall_set_vm_memory_regions": ["42"], "hcall_write_protect_page": ["43"],
    "hcall_gpa_to_hpa": ["41"], "hcall_assign_ptdev": ["50"], "hcall_deassign_ptdev": ["51"], "hcall_set_ptdev_intr_info": ["53"],
    "hcall_reset_ptdev_intr_info": ["54"], "hcall_debug": ["60", "61", "62", "63"], "hcall_get_cpu_pm_state": ["80"],
    "hcall_vm_intr_monitor": ["24"], "hcall_set_callback_vector": ["02"],
}
COLUMNS = 7


def main(root):
    problems = []
    with open(os.path.join(root, "docs/HYPERCALLS.md"), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(root, "include/abi/hypercall.h"), encoding="utf-8") as file:
        ids = dict((low.zfill(2), name) for name, low in re.findall(r"#define HC_(\w+)\s+HC_ID\(0x([0-9a-f]+)u\)", file.read()))
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if re.match(r"\| [0-9a-f]{2} \| [A-Z]", line):
            if len(cells) != COLUMNS:
                problems.append("row %s has %d columns" % (cells[0], len(cells)))
                continue
            if cells[0] in rows:
                problems.append("id %s has two rows" % cells[0])
            rows[cells[0]] = cells
    for low, name in sorted(ids.items()):
        if low not in rows:
            problems.append("id %s (%s) has no row" % (low, name))
        elif rows[low][1] != name:
            problems.append("id %s is called %s, not %s" % (low, name, rows[low][1]))
    for function, lows in API.items():
        for low in lows:
            if low not in rows or rows[low][2] != function:
                problems.append("%s of the API document has no row with id %s" % (function, low))
    for row in rows.values():
        if row[2] != "-" and row[2] not in API:
            problems.append("id %s: the API document has no %s" % (row[0], row[2]))
        if not re.search(r"`\w+`", row[6]):
            problems.append("id %s names no test" % row[0])
    defined = set()
    for path in glob.glob(os.path.join(root, "tests/unit/hcall/t_*.c")):
        with open(path, encoding="utf-8") as file:
            source = file.read()
        for name in re.findall(r"START_TEST\((\w+)\)", source):
            defined.add(name)
            if len(re.findall(r"\b%s\b" % name, source)) < 2:
                problems.append("%s: test %s is never run" % (os.path.basename(path), name))
    named = set(name for row in rows.values() for name in re.findall(r"`(\w+)`", row[6]))
    named |= set(re.findall(r"`([a-z]\w*_\w+)`", text.split("## Calls")[1]))
    for name in sorted(named - defined):
        problems.append("there is no test %s" % name)
    for name in sorted(defined - named):
        problems.append("test %s stands in no row" % name)
    for problem in problems:
        print("docs/HYPERCALLS.md: " + problem)
    print("%d rows, %d tests named" % (len(rows), len(named)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
