"""Graphs of modules and the circles in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Use:
    """A place where one module uses another."""

    place: str
    """The file and line."""
    path: str
    """The path as it is written there."""


@dataclass
class ModuleGraph:
    """The modules of one crate or package, each with the modules it uses and the first use of each."""

    name: str
    uses: dict[str, dict[str, Use]] = field(default_factory=dict)

    def add_module(self, module: str) -> None:
        self.uses.setdefault(module, {})

    def add_use(self, user: str, used: str, use: Use) -> None:
        if user != used:
            self.add_module(used)
            self.uses.setdefault(user, {}).setdefault(used, use)

    def circles(self) -> list[list[str]]:
        """Returns short circles that together pass through every module that is part of one."""
        found: list[list[str]] = []
        for component in self._components():
            covered: set[str] = set()
            for module in sorted(component):
                if module not in covered:
                    circle = self._shortest_circle(module, component)
                    covered.update(circle)
                    found.append(circle)
        return found

    def describe(self, circle: list[str]) -> str:
        """Describes a circle, one use a line."""
        lines = [f"{self.name}: {' -> '.join([*circle, circle[0]])}"]
        for user, used in zip(circle, [*circle[1:], circle[0]], strict=True):
            use = self.uses[user][used]
            lines.append(f"    {use.place}: {user} uses {used}: {use.path}")
        return "\n".join(lines)

    def _components(self) -> Iterator[set[str]]:
        """Yields the strongly connected components of more than one module (Tarjan's algorithm, without recursion)."""
        index: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []
        on_stack: set[str] = set()
        for root in self.uses:
            if root in index:
                continue
            work = [(root, iter(self.uses[root]))]
            while work:
                module, successors = work[-1]
                if module not in index:
                    index[module] = low[module] = len(index)
                    stack.append(module)
                    on_stack.add(module)
                for successor in successors:
                    if successor not in index:
                        work.append((successor, iter(self.uses[successor])))
                        break
                    if successor in on_stack:
                        low[module] = min(low[module], index[successor])
                else:
                    work.pop()
                    if work:
                        parent = work[-1][0]
                        low[parent] = min(low[parent], low[module])
                    if low[module] == index[module]:
                        component: set[str] = set()
                        while module not in component:
                            member = stack.pop()
                            on_stack.discard(member)
                            component.add(member)
                        if len(component) > 1:
                            yield component

    def _shortest_circle(self, start: str, component: set[str]) -> list[str]:
        """Returns the shortest circle through `start`, which is a member of `component` (breadth first)."""
        previous: dict[str, str] = {}
        queue = deque([start])
        while queue:
            module = queue.popleft()
            for successor in self.uses[module]:
                if successor == start:
                    circle = [module]
                    while circle[-1] != start:
                        circle.append(previous[circle[-1]])
                    return circle[::-1]
                if successor in component and successor not in previous:
                    previous[successor] = module
                    queue.append(successor)
        raise ValueError(f"{start} is not part of a circle")
