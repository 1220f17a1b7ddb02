"""Networks that are exported in no time."""

from __future__ import annotations

from graphs import wrap

from uninas.blocks import mbconv, transformer
from uninas.genotype import Genotype, GraphBuilder, Stage, Stem, StemConv


def small() -> Genotype:
    """Convolutions with batch norms, a gate, and attention of two heads with a bias."""
    return Genotype(
        (Stage(8, (mbconv(8),)), Stage(16, (transformer(16, bias_size=4, head_width=8),))),
        Stem((StemConv(8, 3, 2, norm="batch", activation="gelu"),)),
        name="small",
    )


def chain(*ops) -> Genotype:
    """Operations one behind the other, at full resolution."""
    b = GraphBuilder()
    return wrap(b.build(b.chain(b.input, *ops)))
