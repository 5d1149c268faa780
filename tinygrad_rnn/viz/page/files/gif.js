// GIF: frames with one palette for all, as an animation that repeats.

// The number in the palette that leaves a pixel as the frame before has it.
const UNCHANGED = 255;

// The most frequent colours of some frames, at 5 bits for red, green and blue.
function paletteOf(frames) {
  const counts = new Uint32Array(32768);
  for (const { data } of frames) for (let i = 0; i < data.length; i += 4) counts[binOf(data, i)]++;
  const bins = [...counts.keys()].filter((bin) => counts[bin]).sort((a, b) => counts[b] - counts[a]).slice(0, UNCHANGED);
  const colours = bins.map((bin) => [bin >> 10, (bin >> 5) & 31, bin & 31]);
  const nearest = new Int16Array(32768).fill(-1);
  return { colours, nearest };
}

function binOf(data, i) {
  return ((data[i] >> 3) << 10) | ((data[i + 1] >> 3) << 5) | (data[i + 2] >> 3);
}

function indexOfBin({ colours, nearest }, bin) {
  if (nearest[bin] < 0) {
    const [red, green, blue] = [bin >> 10, (bin >> 5) & 31, bin & 31];
    let best = Infinity;
    colours.forEach(([r, g, b], i) => {
      const distance = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
      if (distance < best) {
        best = distance;
        nearest[bin] = i;
      }
    });
  }
  return nearest[bin];
}

function gifHeader(width, height, { colours }) {
  const bytes = [...new TextEncoder().encode("GIF89a"), width & 255, width >> 8, height & 255, height >> 8, 0xf7, 0, 0];
  for (let i = 0; i < 256; i++) bytes.push(...(colours[i] ?? [0, 0, 0]).map((part) => (part << 3) | (part >> 2)));
  // Repeat for ever.
  bytes.push(0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0);
  return Uint8Array.from(bytes);
}

function indexed({ data, width, height }, palette) {
  const indices = new Uint8Array(width * height);
  for (let i = 0; i < indices.length; i++) indices[i] = indexOfBin(palette, binOf(data, 4 * i));
  return indices;
}

// One frame, shown for some hundredths of a second; only what differs from the frame before is written.
function gifFrame(indices, before, width, height, delay) {
  const changed = before === null ? indices : indices.map((index, i) => (index === before[i] ? UNCHANGED : index));
  const head = [0x21, 0xf9, 4, 5, delay & 255, delay >> 8, UNCHANGED, 0, 0x2c, 0, 0, 0, 0, width & 255, width >> 8, height & 255, height >> 8, 0, 8];
  const body = compressed(changed);
  const blocks = [];
  for (let start = 0; start < body.length; start += 255) {
    const part = body.slice(start, start + 255);
    blocks.push(part.length, ...part);
  }
  return Uint8Array.from([...head, ...blocks, 0]);
}

// LZW with codes from 9 to 12 bits (Welch 1984).
function compressed(indices) {
  const bytes = [];
  let buffer = 0;
  let filled = 0;
  let size = 9;
  let next = 258;
  let table = new Map();
  const put = (code) => {
    buffer |= code << filled;
    filled += size;
    while (filled >= 8) {
      bytes.push(buffer & 255);
      buffer >>>= 8;
      filled -= 8;
    }
  };
  put(256);
  let prefix = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const key = prefix * 256 + indices[i];
    const code = table.get(key);
    if (code !== undefined) {
      prefix = code;
      continue;
    }
    put(prefix);
    if (next < 4096) {
      table.set(key, next++);
      if (next > 1 << size && size < 12) size++;
    } else {
      put(256);
      table = new Map();
      next = 258;
      size = 9;
    }
    prefix = indices[i];
  }
  put(prefix);
  put(257);
  if (filled) bytes.push(buffer & 255);
  return bytes;
}
