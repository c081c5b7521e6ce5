"""The policy: PPO on frozen expert blocks, its ensemble and its export."""

import sys
from types import ModuleType

# Importing stable-baselines3 imports tensorboard's writer, which imports TensorFlow (9 s, 800 MB) unless this
# module exists: tensorboard's own switch for an environment without TensorFlow.
sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
