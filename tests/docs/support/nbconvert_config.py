"""How nbconvert runs notebooks in Deno's kernel: Deno 2.9 may say that a cell is done before what it displays is out."""

import sys
from pathlib import Path
from queue import Empty

from jupyter_client.utils import ensure_async
from nbconvert.preprocessors import ExecutePreprocessor

sys.path.insert(0, str(Path(__file__).parent))
import ports  # noqa: E402, F401, which decides which ports the kernel has

SECONDS = 0.4


class PatientPreprocessor(ExecutePreprocessor):
    """Takes messages of a cell that come shortly after the one that says that it is done."""

    async def _async_poll_output_msg(self, parent_msg_id, cell, cell_index):
        await super()._async_poll_output_msg(parent_msg_id, cell, cell_index)
        while True:
            try:
                message = await ensure_async(self.kc.iopub_channel.get_msg(timeout=SECONDS))
            except Empty:
                return
            if message["parent_header"].get("msg_id") == parent_msg_id:
                self.process_message(message, cell, cell_index)


c = get_config()  # noqa: F821, which nbconvert defines
c.NotebookExporter.preprocessors = [PatientPreprocessor]
c.PatientPreprocessor.timeout = 120
c.PatientPreprocessor.record_timing = False
