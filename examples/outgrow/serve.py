"""Serves an ONNX model over HTTP with onnxruntime, on this machine only.

    python serve.py MODEL.onnx [PORT]

Prints the address once it listens; without a PORT the system chooses one. `GET /` describes the model. `POST /`
takes JSON, the model's inputs by name as nested arrays, and answers with its outputs by name.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import onnxruntime

MOST_BYTES = 16 << 20
DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, {"inputs": {tensor.name: tensor.shape for tensor in session.get_inputs()}})

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.close_connection = True  # the body is left unread
            return self.answer(413, {"error": f"content-length is {length}, expected at most {MOST_BYTES}"})
        try:
            given = json.loads(self.rfile.read(int(length)))
            feeds = {t.name: np.array(given[t.name], DTYPES[t.type]) for t in session.get_inputs()}
            outputs = session.run(None, feeds)
        except KeyError as error:
            return self.answer(400, {"error": f"there is no input {error}"})
        except Exception as error:  # no JSON, ragged arrays, or a shape that onnxruntime refuses
            return self.answer(400, {"error": str(error)})
        names = [tensor.name for tensor in session.get_outputs()]
        self.answer(200, {name: output.tolist() for name, output in zip(names, outputs)})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass  # what is served is not told


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Handler)
print(f"http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
