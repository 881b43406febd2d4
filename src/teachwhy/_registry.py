"""What does inspect-ai find by our entry point? The provider and the tasks (`inspect eval teachwhy/blackmail --model ...`)."""

from teachwhy.provider import LocalModel
from teachwhy.scenarios.tasks import TASKS

__all__ = ["TASKS", "LocalModel"]
