"""Machine instructions on the bits of a word that Numba does not expose.

They count and find bits, reverse the order of bytes, and spread bits over bytes: one vector store where a loop over the
bits would take 64 steps.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _bit_store(width: int) -> Callable[..., Any]:
    def store_bits(typing_context, out, place, word):  # type: ignore[no-untyped-def]
        """Write the lowest bits of `word` as bytes 0 and 1 to a flat uint8 array, the first of them to out[place]."""
        signature = types.void(out, types.int64, types.uint64)

        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            array_type = signature.args[0]
            array = context.make_array(array_type)(context, builder, arguments[0])
            first = cgutils.get_item_pointer(context, builder, array_type, array, [arguments[1]], wraparound=False)
            low_bits = builder.trunc(arguments[2], ir.IntType(width))
            mask = builder.bitcast(low_bits, ir.VectorType(ir.IntType(1), width))
            octets = builder.zext(mask, ir.VectorType(ir.IntType(8), width))
            builder.store(octets, builder.bitcast(first, octets.type.as_pointer()), align=1)
            return context.get_dummy_value()

        return signature, codegen

    return intrinsic(store_bits)  # type: ignore[no-any-return]


store_8_bits = _bit_store(8)
store_32_bits = _bit_store(32)
store_64_bits = _bit_store(64)


def _word_instruction(name: str, build: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def instruction(typing_context, word):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return build(builder, arguments[0])

        return types.uint64(types.uint64), codegen

    instruction.__name__ = name
    return intrinsic(instruction)  # type: ignore[no-any-return]


_FALSE = ir.Constant(ir.IntType(1), 0)

# Functions from uint64 to uint64: how many bits are set; how many are clear below the lowest and above the highest bit
# that is set (64 if none is); the eight bytes in reverse order.
count_bits = _word_instruction("count_bits", lambda builder, word: builder.ctpop(word))
trailing_zeros = _word_instruction("trailing_zeros", lambda builder, word: builder.cttz(word, _FALSE))
leading_zeros = _word_instruction("leading_zeros", lambda builder, word: builder.ctlz(word, _FALSE))
reverse_bytes = _word_instruction("reverse_bytes", lambda builder, word: builder.bswap(word))
