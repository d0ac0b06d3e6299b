"""Why a hook has failed: read from the end of what it printed, and from how it ended.

The last line that tells of an error decides. Of a project that tries things out, most of what goes
wrong on the way means nothing; so an error of a known form that explains nothing (a type error, a
line that does not compile) outweighs what came before it. Only English is read.
"""

from wheelforge.diagnosis.diagnose import diagnose, find_missing_module
from wheelforge.errors import Failure

__all__ = ["Failure", "diagnose", "find_missing_module"]
