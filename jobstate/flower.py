"""Flower with jobs: put ``import jobstate.flower`` into flowerconfig.py.

The import itself changes Flower; there is nothing to call. Two settings may follow it there:
``jobstate_history``, how many of the newest jobs are shown after a start, and
``jobstate_refresh``, how often the table is read, in seconds.
"""

from jobstate.celery.flower import set_up

__all__: list[str] = []

set_up()
