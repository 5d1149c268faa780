"""What the graph says of a function's derivatives against what central differences say, to second order."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np

from ..core.node import Array
from .differences import Differences, Direction, randoms, units
from .problem import Blocks, Problem

# Up to so many input elements each is moved by itself, and up to so many results are each pulled from.
_FEW_INPUTS = 200
_FEW_RESULTS = 64
_SOME = 8
# A rule that is wrong is often wrong everywhere: not every entry needs a second look then.
_ENOUGH = 3


class Mismatch(NamedTuple):
    """A disagreement: what was compared, where, and the two numbers; or a point without a derivative.

    Attributes:
        order: of the derivative.
        mode: "vjp" or "jvp", which kind of rule gave the derivative; "kink" where the function has none.
        text: what to tell the user.
    """

    order: int
    mode: str
    text: str


class Options(NamedTuple):
    """How to check, as `gradcheck` was told."""

    modes: Collection[str]
    eps: float | None
    rtol: float | None
    atol: float | None
    seed: int


class _Claim(NamedTuple):
    """A derivative as the graph gives it: one row for each result, or for each cotangent of `left`.

    `at(u, v)` is the number for a cotangent u of the results and a tangent v of the inputs, where that can be asked.
    """

    name: str
    mode: str
    found: Array
    left: Array | None
    at: Callable[[Array, Array], float] | None = None


class _Comparison:
    """A function of a flat vector, differences of it, and the claims of the graph about its derivative."""

    def __init__(
        self, differences: Differences, directions: list[Direction], rows: Blocks, columns: Blocks, options: Options
    ) -> None:
        self.differences = differences
        self.directions = directions
        self.rows = rows
        self.columns = columns
        self.options = options
        self.slopes, self.jumps = differences.table(directions)
        self.clear = np.ones(len(directions), bool)
        self.kinks = np.zeros(self.slopes.shape, bool)

    def tolerances(self) -> Array:
        """Return by how much each slope may be off: relative to the largest of its block, and what rounding adds."""
        step, precision = self.differences.step, self.differences.precision
        rtol, atol = self.options.rtol, self.options.atol
        relative = max(precision ** (3 / 8), step**2) if rtol is None else rtol
        found = np.zeros(self.slopes.shape)
        blocks = self.columns.slices if self.directions and self.directions[0].number is not None else [slice(None)]
        for rows in self.rows.slices:
            for columns in blocks:
                block = np.abs(self.slopes[rows, columns])
                found[rows, columns] = relative * block[np.isfinite(block)].max(initial=0.0)
        if atol is not None:
            return found + atol
        found += np.array([self.differences.noise(step * direction.stretch) for direction in self.directions])
        return found

    def refine(self, claims: list[_Claim]) -> None:
        """Look closer along every direction where a first look leaves a doubt, until one is wrong beyond doubt."""
        tolerances = self.tolerances()
        doubtful = ~(np.abs(self.jumps) <= 100 * tolerances).all(axis=0) | self._wrong(claims)
        self.clear = ~doubtful
        for column in np.flatnonzero(doubtful):
            refined = self.differences.refined(self.directions[column], 100 * tolerances[:, column])
            self.slopes[:, column], self.kinks[:, column] = refined
            self.clear[column] = True
            if self._wrong(claims)[column] and self.clear.sum() > _ENOUGH:
                break

    def _wrong(self, claims: list[_Claim]) -> Array:
        """Return along which directions a claim is off."""
        tolerances = self.tolerances()
        wrong = np.zeros(len(self.directions), bool)
        for claim in claims:
            wrong |= ~(self._off(claim) <= self._allowed(claim, tolerances)).all(axis=0)
        return wrong

    def _off(self, claim: _Claim) -> Array:
        return np.asarray(np.abs(claim.found - self._expected(claim)))

    def _expected(self, claim: _Claim) -> Array:
        return self.slopes if claim.left is None else claim.left @ self.slopes

    def _allowed(self, claim: _Claim, tolerances: Array) -> Array:
        return tolerances if claim.left is None else np.abs(claim.left) @ tolerances

    def judge(self, claims: list[_Claim], order: int) -> Mismatch | None:
        """Return the worst disagreement, if there is one."""
        self.refine(claims)
        if self.kinks.any():
            return self._kink(order)
        tolerances = self.tolerances()
        for claim in claims:
            off, expected = self._off(claim), self._expected(claim)
            allowed = self._allowed(claim, tolerances)
            if bool((off <= allowed)[:, self.clear].all()):
                continue
            excess = np.where(allowed > 0, off / allowed, off)
            place = np.unravel_index(
                int(np.argmax(np.where(self.clear, np.where(np.isnan(off), np.inf, excess), -1))), off.shape
            )
            row, column = int(place[0]), int(place[1])
            where, a, b = self._entry(claim, row, column) or (
                self._where(claim, row, column),
                float(claim.found[place]),
                float(expected[place]),
            )
            ratio = np.float64(a) / b
            text = (
                f"{claim.name}, worst for {where}: the graph gives {a:.10g}, central differences {b:.10g}, ratio "
                f"{ratio:.6g}"
            )
            if a == 0:
                text += " (where the graph gives 0, the function may have left it, as .data, .item() and detach() do)"
            if np.isnan(a) and np.isfinite(b):
                text += (
                    " (nan comes through the branch of a np.where that is not taken, if its derivative there is not "
                    "finite; keep its argument away from there with a np.where inside: np.sqrt(np.where(a > 0, a, 1)))"
                )
            return Mismatch(order, claim.mode, text)
        return None

    def _entry(self, claim: _Claim, row: int, column: int) -> tuple[str, float, float] | None:
        """Return a single entry that is off, with both values, where random combinations were compared."""
        way = self.directions[column].way
        left = _unit(row, self.rows.size) if claim.left is None else claim.left[row]
        if claim.at is None or (np.count_nonzero(way) == 1 and np.count_nonzero(left) == 1):
            return None
        at = claim.at

        def off(u: Array, v: Array) -> float:
            return abs(at(u, v) - float(u @ self.differences.slope(v)))

        way = _narrowed(way, lambda v: off(left, v))
        left = _narrowed(left, lambda u: off(u, way))
        j, i = int(np.flatnonzero(way)[0]), int(np.flatnonzero(left)[0])
        size = float(way[j] * left[i])
        a, b = at(left, way) / size, float(left @ self.differences.slope(way)) / size
        noise = self.differences.noise(self.differences.step * abs(way[j]))
        if abs(a - b) <= self.differences.precision ** (3 / 8) * abs(b) + noise:
            return None
        return f"{self.rows.name(i)} by {self.columns.name(j)}", a, b

    def _where(self, claim: _Claim, row: int, column: int) -> str:
        number = self.directions[column].number
        by = "along a random direction" if number is None else f"by {self.columns.name(number)}"
        of = self.rows.name(row) if claim.left is None else "the results combined by a random cotangent"
        if claim.left is not None and len(claim.left) == self.rows.size:
            of = self.rows.name(int(np.argmax(claim.left[row])))
        return f"{of} {by}"

    def _kink(self, order: int) -> Mismatch:
        row, column = (int(i) for i in np.argwhere(self.kinks)[0])
        direction = self.directions[column]
        number = direction.number
        of, by = self.rows.name(row), "in all inputs" if number is None else f"in {self.columns.name(number)}"
        place = "" if number is None else f" = {self.differences.point[number]:.6g}"
        if not np.isfinite(self.differences.base[row]):
            text = f"{of} is {self.differences.base[row]} at the point itself"
        else:
            text = (
                f"{of} is not differentiable {by}{place}: the slopes to the left and to the right disagree, or "
                "are not finite, however small the step"
            )
        return Mismatch(order, "kink", f"{text}. Move the point away from the kink, the jump or the edge")


def _unit(number: int, size: int) -> Array:
    return np.where(np.arange(size) == number, 1.0, 0.0)


def _narrowed(vector: Array, off: Callable[[Array], float]) -> Array:
    """Return the vector with all but one element set to 0: of two halves, always the one that is further off."""
    places = np.flatnonzero(vector)
    while len(places) > 1:
        halves = []
        for half in np.array_split(places, 2):
            part = np.zeros(len(vector))
            part[half] = vector[half]
            halves.append((half, off(part)))
        places = max(halves, key=lambda pair: np.nan_to_num(pair[1], nan=np.inf))[0]
    return vector * _unit(int(places[0]), len(vector))


def first_order(problem: Problem, options: Options) -> Mismatch | None:
    """Compare first derivatives: the whole Jacobian of few inputs, random directions for many."""
    assert problem.outputs is not None
    rng = np.random.default_rng(options.seed)
    rows, columns, record = problem.outputs, problem.inputs, problem.first
    few = columns.size <= _FEW_INPUTS
    directions = units(problem.points) if few else randoms(problem.points, _SOME, rng)
    step, precision = _step(problem, options), problem.precision
    differences = Differences(problem.values, columns.join(problem.points), step, precision)
    comparison = _Comparison(differences, directions, rows, columns, options)
    ways = np.stack([direction.way for direction in directions], axis=1) if directions else np.zeros((0, 0))
    claims = []
    if "reverse" in options.modes:
        left = np.eye(rows.size) if rows.size <= _FEW_RESULTS else _cotangents(rows, rng)
        pulled = [record.gradient(cotangent) for cotangent in left]
        if pulled:
            at = lambda u, v: float(record.gradient(u) @ v)
            claims.append(_Claim("reverse mode", "vjp", np.stack(pulled) @ ways, left, at))
    if "forward" in options.modes and directions:
        pushed = np.stack([record.tangent(direction.way) for direction in directions], axis=1)
        claims.append(_Claim("forward mode", "jvp", pushed, None, lambda u, v: float(u @ record.tangent(v))))
    return comparison.judge(claims, 1)


def _cotangents(rows: Blocks, rng: np.random.Generator) -> Array:
    """Return random cotangents, some of them for one of several results alone."""
    left = rng.uniform(0.5, 1.5, (_SOME, rows.size))
    if len(rows.slices) > 1:
        for row, part in zip(left[1::2], rows.slices, strict=False):
            row[: part.start] = row[part.stop :] = 0.0
    return left


def second_order(problem: Problem, options: Options) -> Mismatch | None:
    """Compare the derivatives of first derivatives along a random direction, by every pair of the modes."""
    problem = problem.curved()
    assert problem.outputs is not None
    rng = np.random.default_rng(options.seed + 1)
    rows, columns, record = problem.outputs, problem.inputs, problem.first
    if not columns.size or not rows.size:
        return None
    point, step = columns.join(problem.points), _step(problem, options)
    cotangent = rng.uniform(0.5, 1.5, rows.size)
    (direction,) = randoms(problem.points, 1, rng)
    reverse, forward = "reverse" in options.modes, "forward" in options.modes
    slopes = record.of(record.pull(cotangent, record=True), columns) if reverse else None
    along = record.of(record.push(direction.way, record=True), rows) if forward else None

    if slopes is not None:
        claims = [_Claim("reverse over reverse", "vjp", slopes.gradient(direction.way)[:, None], None)]
        if along is not None:
            claims.append(_Claim("forward over reverse", "jvp", slopes.tangent(direction.way)[:, None], None))
            claims.append(_Claim("reverse over forward", "jvp", along.gradient(cotangent)[:, None], None))
        gradient = lambda vector: problem.record(vector).gradient(cotangent)
        differences = Differences(gradient, point, step, problem.precision)
        named = Blocks(columns.shapes, [f"the gradient of {label}" for label in columns.labels])
        found = _Comparison(differences, [direction], named, columns, options).judge(claims, 2)
        if found is not None:
            return found
    if along is not None:
        tangent = lambda vector: problem.record(vector).tangent(direction.way)
        differences = Differences(tangent, point, step, problem.precision)
        claims = [_Claim("forward over forward", "jvp", along.tangent(direction.way)[:, None], None)]
        named = Blocks(rows.shapes, [f"the tangent of {label}" for label in rows.labels])
        return _Comparison(differences, [direction], named, columns, options).judge(claims, 2)
    return None


def _step(problem: Problem, options: Options) -> float:
    """Return the relative step that balances the error of the difference with that of rounding."""
    return float(problem.precision ** (1 / 3)) if options.eps is None else options.eps
