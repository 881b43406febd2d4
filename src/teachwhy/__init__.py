"""teachwhy: measure harmful agent conduct, find and change the text that teaches it, and test whether that lasts.

Each room has its public functions: `interventions.build`, `training.train`, `scenarios.sample_family` and
`scenarios.grade`, `compare.compare`, `report.write_report`. `study.run` puts them in order. Importing this package does
no work.
"""

__version__ = "0.1.0"
