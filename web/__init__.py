"""The example web app: it enqueues the tasks of tasks/ and shows what becomes of them."""
