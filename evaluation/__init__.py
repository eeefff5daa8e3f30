"""Judges from register data whether a labour-market programme worked.

The public names, in the order the data travels, stand in `__init__.pyi`. Each is loaded when first used, so that importing the package, or asking
the command line for help, does not load pandas or anything heavier.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
