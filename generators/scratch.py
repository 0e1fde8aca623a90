"""Memory for kernels that is neither allocated nor counted."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic(prefer_literal=True)
def on_stack(typing_context, length):  # type: ignore[no-untyped-def]
    """An uninitialized int64 array, `length` (a constant) long, that lives until the function returns."""
    array = types.Array(types.int64, 1, "C")

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        size = length.literal_value
        place = cgutils.alloca_once(builder, ir.IntType(64), size=size)
        view = context.make_array(array)(context, builder)
        context.populate_array(
            view, data=place, shape=[context.get_constant(types.intp, size)],
            strides=[context.get_constant(types.intp, 8)], itemsize=context.get_constant(types.intp, 8), meminfo=None,
        )  # fmt: skip
        return view._getvalue()

    return array(length), codegen
