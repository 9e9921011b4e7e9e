#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gates.py BUILDDIR - what CONTRIBUTING.md asks of the code, checked; TAP

Every rule has one function here that yields what breaks it, one line each.
There is no allow-list: the code follows the rule or the rule changes.
"""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(sys.argv[1])

FREESTANDING = {"assert.h", "inttypes.h", "limits.h", "stdarg.h", "stdbool.h",
                "stddef.h", "stdint.h", "stdio.h", "string.h"}
# what the core may ask of the C library: memory and text, nothing that acts
CORE_SYMBOLS = {
    "memchr", "memcmp", "memcpy", "memmove", "memset", "snprintf", "strchr",
    "strcmp", "strcpy", "strcspn", "strlen", "strncmp", "strpbrk", "strrchr",
    "strspn", "strstr", "vsnprintf", "__assert_fail", "__stack_chk_fail",
    # the same, as a fortified build calls them
    "__memcpy_chk", "__memmove_chk", "__memset_chk", "__snprintf_chk",
    "__strcpy_chk", "__vsnprintf_chk", "_GLOBAL_OFFSET_TABLE_",
}
LAYERS = {
    "src/core": {"core"},
    "src/link": {"core", "loop", "link"},
    "src/edge": {"core", "loop", "edge"},
    "src/loop": {"core", "loop"},
    "src": {"core", "loop", "link", "edge"},
    "cli": set(),
}
MAX_FILE, MAX_FUNCTION, MAX_PARAMS, MAX_NESTING, MAX_LINE = 600, 60, 5, 3, 100


def files(*folders, ends=(".c", ".h")):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--",
                          *folders], cwd=TOP, capture_output=True, text=True,
                         check=True).stdout.split()
    return sorted(f for f in out if f.endswith(ends)
                  and os.path.exists(os.path.join(TOP, f)))


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def product():
    return files("src", "cli", "include")


def gate_format():
    """C files are as .clang-format wants them"""
    every = files("src", "cli", "include", "test", "examples")
    r = subprocess.run(["clang-format", "--dry-run", "-Werror", *every],
                       cwd=TOP, capture_output=True, text=True)
    yield from sorted({line.split(":")[0] for line in r.stderr.splitlines()
                       if "error:" in line})


def gate_layers():
    """a folder includes only what its layer may use"""
    for path in files("src", "cli"):
        folder = os.path.dirname(path)
        for inc in re.findall(r'^#include ["<]([^">]+)[">]', read(path), re.M):
            first = inc.split("/")[0] if "/" in inc else ""
            ours = os.path.isdir(os.path.join(TOP, "src", first)) and first
            if ours and ours not in LAYERS[folder]:
                yield f"{path} includes {inc}"
            if folder == "src/core" and not ours and inc != "culvert.h":
                crypto = path.endswith("/crypto.c") and \
                    first == "openssl"
                if inc not in FREESTANDING and not crypto:
                    yield f"{path} includes <{inc}>"
            if folder == "cli" and '"' + inc + '"' in read(path) and \
                    inc != "culvert.h" and \
                    not os.path.exists(os.path.join(TOP, "cli", inc)):
                yield f"{path} includes {inc}"


def symbols(args, archive):
    out = subprocess.run(["nm", *args, os.path.join(BUILD, archive)],
                         capture_output=True, text=True, check=True).stdout
    member = ""
    for line in out.splitlines():
        if line.endswith(":"):
            member = line[:-1]
        elif line.split():
            yield member, line.split()[-1], line.split()[-2]


def gate_symbols():
    """the core calls neither clock nor socket nor allocator"""
    defined = {s for _, s, kind in
               symbols(["-g", "--defined-only"], "libculvert-core.a")}
    for member, name, _ in symbols(["-u"], "libculvert-core.a"):
        crypto = "crypto.c" in member
        if name not in defined and name not in CORE_SYMBOLS and \
                not name.startswith(("__asan", "__ubsan", "__gcov")) and \
                not (crypto and re.match(r"(EVP|OPENSSL|OSSL|CRYPTO)_", name)):
            yield f"{member} calls {name}"


def gate_names():
    """what is not static begins with cv_, what is public with culvert_"""
    for archive in ("libculvert-core.a", "libculvert.a"):
        for member, name, kind in symbols(["-g", "--defined-only"], archive):
            front = re.match(r"(.*/)?src_\w+\.c\.o", member)
            want = ("cv_", "culvert_") if front else ("cv_",)
            if not name.startswith(want) and \
                    not name.startswith(("__", "asan.")):
                yield f"{member} defines {name}"


def gate_exports():
    """the shared library exports what culvert.h declares, and no more"""
    declared = set(re.findall(r"\b(culvert_\w+)\(", "".join(re.findall(
        r"^CULVERT_API[^;]*;", read("include/culvert.h"), re.M))))
    exported = set()
    for _, name, kind in symbols(["-D", "--defined-only"], "libculvert.so"):
        name, _, version = name.partition("@@")
        if version == "CULVERT_0":
            exported.add(name)
        elif kind != "A":
            yield f"{name} is exported as {version or 'nothing'}"
    for name in declared ^ exported:
        yield f"{name} is not both declared and exported"


def gate_globals():
    """the library has no data that is written to"""
    out = subprocess.run(
        ["nm", "-f", "sysv", os.path.join(BUILD, "libculvert.a")],
        capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        field = [f.strip() for f in line.split("|")]
        if len(field) == 7 and re.match(
                r"(\.t?data|\.t?bss|\*COM\*)(?!\.rel\.ro)", field[6]) and \
                not field[0].startswith(("__gcov", "__asan", "__ubsan")):
            yield f"{field[0]} in {field[6]}"


def functions(text):
    """(name, parameters, first line, lines, deepest nesting)"""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line != "{":
            continue
        end = next(j for j in range(i, len(lines)) if lines[j] == "}")
        head, j = "", i - 1
        while j >= 0 and lines[j] and lines[j][-1] not in ";}{/":
            head = lines[j] + " " + head
            j -= 1
        m = re.search(r"(\w+)\(((?:[^()]|\([^()]*\))*)\)\s*$", head)
        if not m:
            continue
        params = 0 if m[2].strip() in ("", "void") else \
            len(re.sub(r"\([^()]*\)", "", m[2]).split(","))
        deepest = depth = 0
        for body in lines[i + 1:end]:
            code = re.sub(r"'.'|\"(\\.|[^\"])*\"|/\*.*?\*/", "", body)
            if re.match(r"\t+(if|for|while|do|switch|else)\b", code) or \
                    re.match(r"\t+} (else|while)", code):
                depth = len(re.match(r"\t*", code)[0])
                deepest = max(deepest, depth)
        yield m[1], params, i + 1, end - i + 1, deepest


def gate_lengths():
    """files, functions, parameter lists, nesting and lines stay short"""
    for path in product():
        text = read(path)
        n = text.count("\n")
        if n > MAX_FILE:
            yield f"{path}: {n} lines"
        for k, line in enumerate(text.split("\n"), 1):
            if len(line.replace("\t", " " * 8)) > MAX_LINE:
                yield f"{path}:{k}: longer than {MAX_LINE} columns"
        for name, params, at, length, deep in functions(text):
            if length > MAX_FUNCTION:
                yield f"{path}:{at}: {name} has {length} lines"
            if params > MAX_PARAMS:
                yield f"{path}:{at}: {name} takes {params} parameters"
            if deep > MAX_NESTING:
                yield f"{path}:{at}: {name} nests {deep} levels deep"


def gate_documented():
    """every function that a header declares has a doc comment, alone or with
    the group it stands in"""
    for path in files("src", "include", ends=(".h",)):
        told = False
        for k, line in enumerate(read(path).split("\n"), 1):
            if not line:
                told = False
            elif line.startswith(("/**", "/*", " *", "static inline")):
                told = True
            elif re.match(r"[a-zA-Z].*\b(cv|culvert)_\w+\(", line) and \
                    not line.startswith(("#", "typedef")) and not told:
                yield f"{path}:{k}: {line.strip()}"


def gate_licence():
    """every source file names its licence"""
    for path in files("src", "cli", "include", "test", "tools", "examples",
                      ends=(".c", ".h", ".py", ".sh")):
        if "SPDX-License-Identifier: MIT" not in read(path)[:400]:
            yield path


def gate_finished():
    """nothing is left for later"""
    words = r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"
    for path in files("src", "cli", "include", "test", "tools", "doc", "man",
                      "README.md", "CONTRIBUTING.md",
                      ends=(".c", ".h", ".py", ".sh", ".md", ".1", ".5")):
        for k, line in enumerate(read(path).split("\n"), 1):
            if re.search(words, line):
                yield f"{path}:{k}: {line.strip()}"


def gate_pictured():
    """doc/architecture.md has a line for every file"""
    text = read("doc/architecture.md")
    for path in files("src", "cli"):
        stem = os.path.splitext(os.path.basename(path))[0]
        base = re.sub(r"_(keys|check|rx|tx|out)$", "", stem)
        if f"`{stem}`" not in text and f"`{stem}.h`" not in text and \
                f"`{stem}.c`" not in text and f"`{base}" not in text:
            yield path


def complaints(command, pattern):
    r = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    for line in (r.stdout + r.stderr).splitlines():
        if re.search(pattern, line):
            yield line


def gate_manual():
    """manual pages are sound mdoc"""
    yield from complaints(["mandoc", "-Tlint", "-Wwarning",
                           *files("man", ends=(".1", ".3", ".5", ".7"))],
                          "WARNING|ERROR")


def gate_keys():
    """culvert.conf(5) has every section and key"""
    page = read("man/culvert.conf.5")
    text = read("src/core/conf_keys.c")
    for key in re.findall(r'\{ CV_CONF_\w+, "(\w+)"', text):
        if not re.search(rf"^\.It Sy {key} No = ", page, re.M):
            yield key
    for section in re.findall(r'\[CV_CONF_\w+\] = "(\w+)"', text):
        if f".Ss [{section}" not in page:
            yield f"[{section}]"


def gate_shell():
    """shellcheck finds nothing"""
    yield from complaints(["shellcheck", "-f", "gcc", "-S", "warning",
                           *files("tools", "examples", ends=(".sh",)),
                           ".ci/run"], ":")


def gate_cppcheck():
    """cppcheck finds nothing"""
    yield from complaints(
        ["cppcheck", "--quiet", "--enable=warning,performance,portability",
         "--std=c11", "-Isrc", "-Iinclude", '-DCV_VERSION="0"',
         "-D_GNU_SOURCE", "src", "cli"], r"warning:|error:")


def gate_tidy():
    """clang-tidy finds nothing"""
    sources = files("src", "cli", ends=(".c",))
    halves = [subprocess.Popen(
        ["clang-tidy", "-p", BUILD, "--quiet", *sources[i::2]], cwd=TOP,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for i in range(2)]
    for p in halves:
        for line in p.communicate()[0].splitlines():
            if re.search(r"(error|warning):", line):
                yield line


def main():
    gates = [(n, f) for n, f in sorted(globals().items())
             if n.startswith("gate_")]
    print(f"1..{len(gates)}")
    bad = 0
    for i, (name, gate) in enumerate(gates, 1):
        broken = list(gate())
        bad += bool(broken)
        print(f"{'not ok' if broken else 'ok'} {i} - {name[5:]}: "
              f"{' '.join(gate.__doc__.split())}")
        for line in broken:
            print(f"# {line}")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
