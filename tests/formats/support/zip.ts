/** Zip archives for tests, written at once: a fuzzer writes one for each file. */
import { crc32 } from "node:zlib";

/**
 * An archive of entries that are stored as they are.
 *
 * APPNOTE.TXT of PKWARE, 4.3: local headers with their data, then the central directory and its end.
 */
export function storedZip(entries: Readonly<Record<string, Uint8Array>>): Uint8Array<ArrayBuffer> {
  const files = Object.entries(entries).map(([name, data]) => ({
    name: new TextEncoder().encode(name),
    data,
  }));
  const headers = files.reduce((size, { name }) => size + 30 + 46 + 2 * name.length, 22);
  const bytes = new Uint8Array(files.reduce((size, { data }) => size + data.length, headers));
  const view = new DataView(bytes.buffer);
  let at = 0;
  const put = (size: 2 | 4, ...values: readonly number[]) => {
    for (const value of values) {
      if (size === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
      at += size;
    }
  };
  const putBytes = (data: Uint8Array) => {
    bytes.set(data, at);
    at += data.length;
  };
  /** The fields that both headers of an entry have: version, flags, method, time, date, checksum and sizes. */
  const putCommon = ({ name, data }: typeof files[number]) => {
    put(2, 20, 0, 0, 0, 0x21); // the first day that there is, January 1, 1980
    put(4, crc32(data), data.length, data.length);
    put(2, name.length, 0);
  };
  const offsets = files.map((file) => {
    const offset = at;
    put(4, 0x04034b50);
    putCommon(file);
    putBytes(file.name);
    putBytes(file.data);
    return offset;
  });
  const directory = at;
  files.forEach((file, index) => {
    put(4, 0x02014b50);
    put(2, 20);
    putCommon(file);
    put(2, 0, 0, 0);
    put(4, 0, offsets[index]);
    putBytes(file.name);
  });
  const size = at - directory;
  put(4, 0x06054b50);
  put(2, 0, 0, files.length, files.length);
  put(4, size, directory);
  put(2, 0);
  return bytes;
}
