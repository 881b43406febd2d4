"""teachwhy: measure harmful agent conduct, find and change the text that teaches it, and test whether that lasts.

Each room has one public function: `interventions.build`, `training.train`, `scenarios.measure`, `compare.compare`,
`report.write`. `study.run` puts them in order. Importing this package does no work.
"""

__version__ = "0.1.0"
