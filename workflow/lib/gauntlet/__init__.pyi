# What `import gauntlet` offers, for editors and type checkers: __init__.py loads it at first use.
from gauntlet.api import attack as attack
from gauntlet.api import audit as audit
from gauntlet.api import certify as certify
from gauntlet.api import evaluate as evaluate
from gauntlet.api import load_model as load_model

__version__: str
