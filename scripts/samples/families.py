"""Every family of samples, in the order of making."""

from samples import pruning

FAMILIES = (*pruning.FAMILIES,)
