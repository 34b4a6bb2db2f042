#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Flash, RAM and worst stack of the image, against their limits.

The stack is a walk over the call graph. What the compiler knows of each
function comes from its .ci files (-fcallgraph-info=su); functions that were
assembled elsewhere (libgcc) are read from the disassembly: pushes, moves of
the stack pointer, calls. Calls through pointers are resolved by the table
scripts/indirect-calls. A recursion, a frame of unknown size or a pointer call
that is not in the table is an error, not a guess.
"""
import argparse
import collections
import fnmatch
import pathlib
import re
import subprocess
import sys

EXCEPTION_FRAME = 32 + 4  # eight words and the alignment of the stack pointer
NODE = re.compile(r'node: \{ title: "([^"]*)" label: "([^"]*)"')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"')
FRAME = re.compile(r'(\d+) bytes \((static|dynamic|dynamic,bounded)\)')


def fail(sentence):
    sys.exit('figures: ' + sentence)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Graph:
    """Frames and calls by full name ("file.c:function" where it is static)."""

    def __init__(self):
        self.frame = {}
        self.calls = collections.defaultdict(set)
        self.indirect = set()
        self.short = collections.defaultdict(set)

    def read_ci(self, path):
        for line in path.read_text().splitlines():
            node = NODE.match(line)
            edge = EDGE.match(line)
            if node:
                self.add_node(*node.groups())
            elif edge and edge.group(2) == '__indirect_call':
                self.indirect.add(edge.group(1))
            elif edge:
                self.calls[edge.group(1)].add(edge.group(2))

    def add_node(self, title, label):
        frame = FRAME.search(label)
        if frame is None:
            return  # only declared here
        if frame.group(2) == 'dynamic':
            fail('%s has a stack frame of unbounded size' % title)
        self.frame[title] = int(frame.group(1))
        self.short[title.split(':')[-1].split('.constprop')[0].split('.isra')[0]
                   .split('.part')[0]].add(title)

    def read_disassembly(self, text):
        """Only for functions that no .ci file describes."""
        name = None
        for line in text.splitlines():
            start = re.match(r'[0-9a-f]+ <([^>]+)>:', line)
            if start:
                name = start.group(1)
                if name in self.frame or name in self.short:
                    name = None
                else:
                    self.frame.setdefault(name, 0)
                continue
            if name is not None:
                self.read_instruction(name, line)

    def read_instruction(self, name, line):
        push = re.search(r'\tpush\t\{([^}]*)\}', line)
        sub = re.search(r'\tsub\tsp, #(\d+)', line)
        call = re.search(r'\tb(?:l|\.n|\.w)?\t[0-9a-f]+ <([^>+]+)>', line)
        if push:
            self.frame[name] += 4 * len(push.group(1).split(','))
        elif sub:
            self.frame[name] += int(sub.group(1))
        elif call and call.group(1) != name:
            self.calls[name].add(call.group(1))

    def add_aliases(self, place):
        """The same function under several names, of which a disassembly shows one."""
        known = {address: name for name, address in place.items() if name in self.frame}
        for name, address in place.items():
            if name not in self.frame and address in known:
                self.short[name].add(known[address])

    def resolve(self, name):
        if name in self.frame:
            return {name}
        return self.short.get(name, set())


def read_table(path):
    """Callers and the names or patterns of what they call."""
    sets = {}
    table = {}
    for line in path.read_text().splitlines():
        words = line.split('#')[0].split()
        if not words:
            continue
        names = []
        for word in words[1:]:
            names += sets[word] if word in sets else [word]
        if words[0].startswith('@'):
            sets[words[0]] = names[1:]  # without the "="
        else:
            table[words[0].rstrip(':')] = names
    return table


def pointed_at(graph, name, table):
    short = name.split(':')[-1].split('.')[0]
    if short not in table:
        fail('%s calls through a pointer and is not in scripts/indirect-calls' % name)
    found = set()
    for pattern in table[short]:
        if pattern == '-':
            continue
        matches = [each for each in graph.short if fnmatch.fnmatchcase(each, pattern)]
        if not matches:
            fail('scripts/indirect-calls: %s calls %s, which does not exist' % (short, pattern))
        for each in matches:
            found |= graph.short[each]
    return found


def targets_of(graph, name, table):
    found = pointed_at(graph, name, table) if name in graph.indirect else set()
    for each in graph.calls[name]:
        where = graph.resolve(each)
        if not where:
            fail('%s calls %s, whose frame is not known' % (name, each))
        found |= where
    return found


def walk(graph, table, root, done, path):
    """Bytes from here down, and the way of the deepest."""
    if root in done:
        return done[root]
    if root in path:
        fail('recursion: ' + ' -> '.join(path[path.index(root):] + [root]))
    deepest = (0, [])
    for target in sorted(targets_of(graph, root, table)):
        deepest = max(deepest, walk(graph, table, target, done, path + [root]),
                      key=lambda pair: pair[0])
    done[root] = (graph.frame[root] + deepest[0], [root] + deepest[1])
    return done[root]


def symbols(cross, elf):
    found = {}
    for line in run(cross + 'nm', elf).splitlines():
        parts = line.split()
        if len(parts) == 3:
            found[parts[2]] = int(parts[0], 16)
    return found


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    for name in ('--cross', '--elf', '--bin', '--objects', '--indirect'):
        parser.add_argument(name, required=True)
    for name in ('--flash-limit', '--ram-limit'):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument('--path', action='store_true', help='show the deepest way')
    return parser.parse_args()


def main():
    args = arguments()
    graph = Graph()
    for path in sorted(pathlib.Path(args.objects).rglob('*.ci')):
        graph.read_ci(path)
    graph.read_disassembly(run(args.cross + 'objdump', '-d', args.elf))
    place = symbols(args.cross, args.elf)
    graph.add_aliases(place)
    table = read_table(pathlib.Path(args.indirect))
    done = {}
    thread, way = walk(graph, table, 'reset_handler', done, [])
    interrupt, _ = walk(graph, table, 'systick_handler', done, [])
    stack = thread + EXCEPTION_FRAME + interrupt

    flash = pathlib.Path(args.bin).stat().st_size
    static = place['bss_end'] - 0x20000000 + 0x78  # and what is kept over resets
    room = place['stack_top'] - place['stack_limit']
    print('flash %6d bytes of %d' % (flash, args.flash_limit))
    print('RAM   %6d bytes of %d: %d static, %d worst stack' %
          (static + stack, args.ram_limit, static, stack))
    if args.path:
        for name in way:
            print('  %5d %s' % (graph.frame[name], name))
    if flash > args.flash_limit:
        fail('the image is larger than %d bytes' % args.flash_limit)
    if static + stack > args.ram_limit:
        fail('the image needs more than %d bytes of RAM' % args.ram_limit)
    if stack > room:
        fail('the stack needs %d bytes and has %d' % (stack, room))


main()
