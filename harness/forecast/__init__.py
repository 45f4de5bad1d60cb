"""What a deployment should do before it is paid for.

In reading order: the tables (``hardware``, ``models``, ``config_json``, ``tables``) and an engine's ``settings``; its
``memory`` and ``startup_check``; ``step``, the time of one iteration, with ``decode_run`` and ``roofline``; the
``scheduler`` with ``sequence``, ``kv_cache``, ``blocks`` and ``decodes``; a ``load`` on it in ``virtual`` time, which
leaves a ``trace``, of which a ``level`` and a ``cell`` are forecast, those ``known`` already only once; and, against
measurements, ``published``, ``fit``, ``calibration`` and ``accuracy``.
"""
