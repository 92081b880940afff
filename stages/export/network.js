"use strict";

// The page joins its three scripts into one, in the order that page.py lists: "use strict" holds
// for them all, and `model`, which two of them use, is what the last of them, page.js, reads.

// The network, layer by layer, as Keras computes it. Each function takes a tensor and returns one:
// {height, width, channels, values}, values being a Float32Array, row by row, pixel by pixel.

const tensor = (height, width, channels, values = new Float32Array(height * width * channels)) =>
  ({ height, width, channels, values });

const layers = {
  Conv2D(input, { rows, columns, same, kernel, bias }) {
    // With padding, as many zeros lie before as behind, and of an odd number one more behind.
    const above = same ? (rows - 1) >> 1 : 0, before = same ? (columns - 1) >> 1 : 0;
    const height = same ? input.height : input.height - rows + 1;
    const width = same ? input.width : input.width - columns + 1;
    const filters = bias.length, output = tensor(height, width, filters);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      const sums = output.values.subarray((y * width + x) * filters).subarray(0, filters);
      sums.set(bias);
      for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
        const top = y + row - above, left = x + column - before;
        if (top < 0 || left < 0 || top >= input.height || left >= input.width) continue;
        for (let channel = 0; channel < input.channels; channel++) {
          const value = input.values[(top * input.width + left) * input.channels + channel];
          if (value === 0) continue;  // as most are after a ReLU
          const at = ((row * columns + column) * input.channels + channel) * filters;
          for (let filter = 0; filter < filters; filter++) sums[filter] += value * kernel[at + filter];
        }
      }
    }
    return output;
  },

  MaxPooling2D(input, { rows, columns }) {
    const { width, channels, values } = input;
    const output = tensor(Math.floor(input.height / rows), Math.floor(width / columns), channels);
    output.values.fill(-Infinity);
    for (let y = 0; y < output.height * rows; y++) for (let x = 0; x < output.width * columns; x++) {
      const at = (Math.floor(y / rows) * output.width + Math.floor(x / columns)) * channels;
      for (let channel = 0; channel < channels; channel++) {
        const value = values[(y * width + x) * channels + channel];
        if (value > output.values[at + channel]) output.values[at + channel] = value;
      }
    }
    return output;
  },

  GlobalAveragePooling2D({ height, width, channels, values }) {
    const output = tensor(1, 1, channels);
    values.forEach((value, i) => output.values[i % channels] += value / (height * width));
    return output;
  },

  Dense({ values }, { kernel, bias }) {
    const output = tensor(1, 1, bias.length, bias.slice());
    values.forEach((value, i) => {
      for (let unit = 0; value && unit < bias.length; unit++)
        output.values[unit] += value * kernel[i * bias.length + unit];
    });
    return output;
  },

  ReLU: (input) => ({ ...input, values: input.values.map((value) => Math.max(value, 0)) }),

  Softmax(input) {
    const largest = Math.max(...input.values);
    const exponentials = input.values.map((value) => Math.exp(value - largest));
    const sum = exponentials.reduce((total, value) => total + value);
    return { ...input, values: exponentials.map((value) => value / sum) };
  },
};

// Return the probabilities of the classes for pixels in [0, 1], height by width by channels.
function classify(pixels) {
  const image = tensor(...model.shape, pixels);
  return model.layers.reduce((input, layer) => layers[layer.kind](input, layer), image).values;
}
