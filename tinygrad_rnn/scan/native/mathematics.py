"""Elementary functions of floats and of vectors of floats, emitted as LLVM IR without a branch.

Every function takes a builder and a value of type float, double, or a vector of either of any length, and returns the
value of the function, within 4 units in the last place of the exact one, subnormal results included. Zeros keep their
sign where the function does; NaN gives NaN; infinities, overflow and arguments outside the domain give what NumPy
gives. No floating-point exception is promised.

The polynomials are minimax fits by Remez's algorithm for the relative error, rounded to the type. Reduction by
multiples of ln 2 in two parts follows W. J. Cody and W. Waite, Software Manual for the Elementary Functions (1980); the
form of the logarithm in float64 follows K. C. Ng's in fdlibm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import llvmlite.ir as ir
import numpy as np

from .emission import intrinsic, splat


@dataclass(frozen=True)
class _Format:
    """What the algorithms need to know of a floating-point format.

    `exponential` approximates `(exp(r) - 1 - r) / r**2` for `|r| <= ln(2) / 2`. `logarithm` approximates, for f between
    `sqrt(1/2) - 1` and `sqrt(2) - 1`, either `(log(1 + f) - f + f**2 / 2) / f**3` as a polynomial of f, or
    `(log(1 + f) - 2 * s) / s**3` with `s = f / (2 + f)` as a polynomial of `s**2` (`divides`).
    """

    bits: int
    mantissa: int
    ln2_high: float
    ln2_low: float
    smallest: float
    saturates: float
    exponential: tuple[float, ...]
    logarithm: tuple[float, ...]
    divides: bool

    @property
    def bias(self) -> int:
        return (1 << (self.bits - self.mantissa - 2)) - 1

    @property
    def largest(self) -> float:
        """A number whose exponential overflows, but is below twice the largest number."""
        return (self.bias + 1.2) * math.log(2)

    def as_bits(self, value: float) -> int:
        kind, integer = (np.float32, np.int32) if self.bits == 32 else (np.float64, np.int64)
        return int(kind(value).view(integer))


_FORMATS = {
    32: _Format(
        bits=32,
        mantissa=23,
        # 15 bits, so that its product with an exponent is exact.
        ln2_high=0.693145751953125,
        ln2_low=1.4286068203094172e-06,
        smallest=-104.5,
        saturates=10.0,
        exponential=(
            0.4999999701976776,
            0.1666654348373413,
            0.04166720062494278,
            0.008366580121219158,
            0.0013882493367418647,
        ),
        logarithm=(
            0.3333333134651184,
            -0.2500081956386566,
            0.20001226663589478,
            -0.16623356938362122,
            0.14201763272285461,
            -0.13160184025764465,
            0.12761545181274414,
            -0.0763445645570755,
        ),
        divides=False,
    ),
    64: _Format(
        bits=64,
        mantissa=52,
        # 32 bits.
        ln2_high=0.6931471803691238,
        ln2_low=1.9082149292705877e-10,
        smallest=-746.0,
        saturates=20.0,
        exponential=(
            0.5000000000000006,
            0.16666666666666588,
            0.041666666666576105,
            0.00833333333338994,
            0.0013888888931796253,
            0.00019841269718390715,
            2.480150497760678e-05,
            2.755740781540154e-06,
            2.7626161871666045e-07,
            2.5053793697026546e-08,
        ),
        logarithm=(
            0.6666666666666735,
            0.3999999999941155,
            0.28571428743177346,
            0.22222198483689218,
            0.18183569378178532,
            0.15313911750635487,
            0.14797428546855154,
        ),
        divides=True,
    ),
}


def emit_exp(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit `exp(x)`: inf above the largest number's logarithm, subnormal and then 0 far below zero."""
    return _Elementary(builder, x.type).exp(x)


def emit_expm1(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit `exp(x) - 1`, relatively exact near 0."""
    return _Elementary(builder, x.type).expm1(x)


def emit_tanh(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit `tanh(x)`, relatively exact near 0."""
    return _Elementary(builder, x.type).tanh(x)


def emit_sigmoid(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit `1 / (1 + exp(-x))`, relatively exact for negative x too."""
    return _Elementary(builder, x.type).sigmoid(x)


def emit_log(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit the natural logarithm: -inf at 0, NaN below."""
    return _Elementary(builder, x.type).log(x)


def emit_log1p(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit `log(1 + x)`, relatively exact near 0: -inf at -1, NaN below."""
    return _Elementary(builder, x.type).log1p(x)


def emit_softplus(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit `log(1 + exp(x))`, relatively exact for negative x too."""
    return _Elementary(builder, x.type).softplus(x)


class _Elementary:
    """The functions for one builder and type.

    No result depends on whether `multiply_add` rounds once or twice, which is the machine's choice, beyond the bound.
    """

    def __init__(self, builder: ir.IRBuilder, kind: ir.Type) -> None:
        element = kind.element if isinstance(kind, ir.VectorType) else kind
        self.builder = builder
        self.kind = kind
        self.format = _FORMATS[32 if isinstance(element, ir.FloatType) else 64]
        whole = ir.IntType(self.format.bits)
        self.whole = ir.VectorType(whole, kind.count) if isinstance(kind, ir.VectorType) else whole

    def constant(self, value: float) -> ir.Constant:
        return splat(self.kind, value)

    def integer(self, value: int) -> ir.Constant:
        return splat(self.whole, value)

    def bits_of(self, x: ir.Value) -> ir.Value:
        return self.builder.bitcast(x, self.whole)

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        return intrinsic(self.builder, "llvm.fmuladd", [a, b, c])

    def magnitude(self, x: ir.Value) -> ir.Value:
        return intrinsic(self.builder, "llvm.fabs", [x])

    def where(self, comparison: str, a: ir.Value, b: ir.Value, yes: ir.Value, no: ir.Value) -> ir.Value:
        """Select yes where a compares to b as told; a NaN compares to nothing."""
        return self.builder.select(self.builder.fcmp_ordered(comparison, a, b), yes, no)

    def at_most(self, x: ir.Value, bound: float) -> ir.Value:
        limit = self.constant(bound)
        return self.where(">", x, limit, limit, x)

    def at_least(self, x: ir.Value, bound: float) -> ir.Value:
        limit = self.constant(bound)
        return self.where("<", x, limit, limit, x)

    def polynomial(self, x: ir.Value, coefficients: tuple[float, ...]) -> ir.Value:
        """Evaluate by Horner's rule; the constant term comes first."""
        value = self.constant(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            value = self.multiply_add(value, x, self.constant(coefficient))
        return value

    def reduced(self, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return n, an integer, and exp(r) - 1, where x = n ln 2 + r with |r| <= ln(2) / 2."""
        b = self.builder
        # Adding a number whose last place is 1 rounds to the nearest integer and leaves it in the lowest bits: unlike
        # a conversion, this is defined for NaN.
        rounder = 1.5 * 2.0**self.format.mantissa
        shifted = self.multiply_add(x, self.constant(1 / math.log(2)), self.constant(rounder))
        n = b.sub(self.bits_of(shifted), self.integer(self.format.as_bits(rounder)))
        multiple = b.fsub(shifted, self.constant(rounder))
        r = self.multiply_add(multiple, self.constant(-self.format.ln2_high), x)
        r = self.multiply_add(multiple, self.constant(-self.format.ln2_low), r)
        square = b.fmul(r, r)
        return n, self.multiply_add(square, self.polynomial(r, self.format.exponential), r)

    def power_of_two(self, biased: ir.Value) -> ir.Value:
        """Return the number whose exponent field is the integer biased and whose fraction is 0."""
        return self.builder.bitcast(self.builder.shl(biased, self.integer(self.format.mantissa)), self.kind)

    def exp_within(self, x: ir.Value) -> ir.Value:
        """Return exp(x) of an x whose reduction stays in range."""
        b = self.builder
        n, grown = self.reduced(x)
        value = b.fadd(grown, self.constant(1.0))
        # 2**n in two factors: n may be larger than the largest exponent, or that of a subnormal number. The first
        # product is exact, so that the result is rounded once.
        biased = b.add(n, self.integer(2 * self.format.bias))
        half = b.lshr(biased, self.integer(1))
        value = b.fmul(value, self.power_of_two(half))
        return b.fmul(value, self.power_of_two(b.sub(biased, half)))

    def exp(self, x: ir.Value) -> ir.Value:
        return self.exp_within(self.at_least(self.at_most(x, self.format.largest), self.format.smallest))

    def expm1(self, x: ir.Value) -> ir.Value:
        b = self.builder
        bounded = self.at_least(self.at_most(x, self.format.largest), -(self.format.mantissa + 2) * math.log(2))
        n, grown = self.reduced(bounded)
        # Half of the result, for 2**n itself may overflow where the result does not.
        scale = self.power_of_two(b.add(n, self.integer(self.format.bias - 1)))
        half = self.multiply_add(scale, grown, b.fsub(scale, self.constant(0.5)))
        return self.where("<", self.magnitude(x), self.constant(self.tiny), x, b.fadd(half, half))

    @property
    def tiny(self) -> float:
        """Below this magnitude expm1(x), log1p(x) and x differ by less than a unit in the last place."""
        return 2.0 ** -(self.format.mantissa + 2)

    def tanh(self, x: ir.Value) -> ir.Value:
        b = self.builder
        bounded = self.at_most(self.magnitude(x), self.format.saturates)
        n, grown = self.reduced(b.fadd(bounded, bounded))
        scale = self.power_of_two(b.add(n, self.integer(self.format.bias)))
        doubled = self.multiply_add(scale, grown, b.fsub(scale, self.constant(1.0)))
        value = b.fdiv(doubled, b.fadd(doubled, self.constant(2.0)))
        return intrinsic(b, "llvm.copysign", [value, x])

    def falling_exp(self, x: ir.Value) -> ir.Value:
        """Return exp(-|x|)."""
        return self.exp_within(self.at_least(self.builder.fneg(self.magnitude(x)), self.format.smallest))

    def sigmoid(self, x: ir.Value) -> ir.Value:
        b = self.builder
        one = self.constant(1.0)
        falling = self.falling_exp(x)
        return b.fdiv(self.where("<", x, self.constant(0.0), falling, one), b.fadd(falling, one))

    def split(self, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return the biased exponent e and f, where x = 2**(e - bias) (1 + f) and 1 + f lies around 1, x positive."""
        b = self.builder
        lowest = self.format.as_bits(math.sqrt(0.5))
        shifted = b.add(self.bits_of(x), self.integer(self.format.as_bits(1.0) - lowest))
        exponent = b.lshr(shifted, self.integer(self.format.mantissa))
        fraction = b.and_(shifted, self.integer((1 << self.format.mantissa) - 1))
        mantissa = b.bitcast(b.add(fraction, self.integer(lowest)), self.kind)
        return exponent, b.fsub(mantissa, self.constant(1.0))

    def log_of(self, f: ir.Value, exponent: ir.Value, offset: ir.Value) -> ir.Value:
        """Return log(1 + f) + k ln 2, where k is the biased exponent less the offset, a float."""
        b = self.builder
        # The integer becomes a float as the lowest bits of a power of two.
        carrier = 2.0**self.format.mantissa
        carried = b.bitcast(b.or_(exponent, self.integer(self.format.as_bits(carrier))), self.kind)
        k = b.fsub(carried, b.fadd(offset, self.constant(carrier)))
        low = b.fmul(k, self.constant(self.format.ln2_low))
        square = b.fmul(f, f)
        if self.format.divides:
            s = b.fdiv(f, b.fadd(f, self.constant(2.0)))
            s_square = b.fmul(s, s)
            half_square = b.fmul(square, self.constant(0.5))
            tail = self.multiply_add(s_square, self.polynomial(s_square, self.format.logarithm), half_square)
            value = b.fsub(f, b.fsub(half_square, self.multiply_add(s, tail, low)))
        else:
            tail = self.multiply_add(f, self.polynomial(f, self.format.logarithm), self.constant(-0.5))
            value = b.fadd(f, self.multiply_add(square, tail, low))
        return self.multiply_add(k, self.constant(self.format.ln2_high), value)

    def log(self, x: ir.Value) -> ir.Value:
        b = self.builder
        zero, infinity = self.constant(0.0), self.constant(math.inf)
        least = self.constant(2.0 ** (1 - self.format.bias))
        shift = self.format.mantissa + 1
        normal = self.where("<", x, least, b.fmul(x, self.constant(2.0**shift)), x)
        bias = float(self.format.bias)
        offset = self.where("<", x, least, self.constant(bias + shift), self.constant(bias))
        exponent, f = self.split(normal)
        value = self.log_of(f, exponent, offset)
        value = self.where("<", x, infinity, value, x)
        value = self.where(">", x, zero, value, self.constant(-math.inf))
        return b.select(b.fcmp_unordered("<", x, zero), self.constant(math.nan), value)

    def log1p_within(self, x: ir.Value) -> ir.Value:
        """Return log(1 + x) for x above -1 and finite; where x is -0 the sign is lost."""
        b = self.builder
        one = self.constant(1.0)
        total = b.fadd(x, one)
        added = b.fsub(total, one)
        error = b.fadd(b.fsub(one, b.fsub(total, added)), b.fsub(x, added))
        exponent, f = self.split(total)
        scale = self.power_of_two(b.sub(self.integer(2 * self.format.bias), exponent))
        beyond = self.constant(2.0 ** (self.format.mantissa + 2))
        correction = self.where(">", x, beyond, self.constant(0.0), b.fmul(error, scale))
        return self.log_of(b.fadd(f, correction), exponent, self.constant(float(self.format.bias)))

    def log1p(self, x: ir.Value) -> ir.Value:
        b = self.builder
        least = self.constant(-1.0)
        value = self.log1p_within(x)
        value = self.where("<", self.magnitude(x), self.constant(self.tiny), x, value)
        value = self.where("<", x, self.constant(math.inf), value, x)
        value = self.where(">", x, least, value, self.constant(-math.inf))
        return b.select(b.fcmp_unordered("<", x, least), self.constant(math.nan), value)

    def softplus(self, x: ir.Value) -> ir.Value:
        zero = self.constant(0.0)
        return self.builder.fadd(self.where(">", x, zero, x, zero), self.log1p_within(self.falling_exp(x)))
