# No Python names: the C interface is in the .pxd.
