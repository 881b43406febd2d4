"""What do we tell people? One self-contained page from the results; deleting it loses no number."""

from teachwhy.report.figure import write_figure
from teachwhy.report.page import write_report
from teachwhy.report.sweep import write_sweep

__all__ = ["write_figure", "write_report", "write_sweep"]
