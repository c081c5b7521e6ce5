"""One training step in chunks that stay in the processor's cache. TensorFlow only.

Enters: a batch. Leaves: the gradient of its loss, summed over chunks: that of the whole batch but for
rounding. Each activation of a wide expert's batch takes megabytes; that of a chunk fits the cache, which
saves an eighth of the step.
"""

from typing import Any

import keras
import tensorflow as tf

CHUNK = 64  # windows


class InChunks(keras.Model):
    """A model that learns a batch chunk by chunk; one that is no multiple of `CHUNK` is one chunk.

    Dropout is drawn for each chunk. A model with batch statistics would take them of each chunk alone and
    must not be trained so. The loss is an `ExpertLoss`: it tells what a part of a batch adds to the whole.
    """

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data[:2]
        loss, gradients = self.learned(x, y)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        return {"loss": loss}

    def learned(self, x: Any, y: Any) -> tuple[Any, list[Any]]:
        """Loss of a batch and its gradient by each trainable weight.

        Args:
            x: (batch, window, columns).
            y: (batch, positions, channels), see `xrl.experts.losses`.
        """
        size = tf.shape(x)[0]
        chunk = tf.where(size % CHUNK == 0, CHUNK, size)
        parts, goals = (tf.reshape(of, (size // chunk, chunk, *of.shape[1:])) for of in (x, y))
        counts = self.loss.counts(y)

        def more(number: Any, loss: Any, *gradients: Any) -> tuple[Any, ...]:
            with tf.GradientTape() as tape:
                added = self.loss.part(goals[number], self(parts[number], training=True), counts)
            found = tape.gradient(added, self.trainable_weights)
            return (number + 1, loss + added, *(a + b for a, b in zip(gradients, found)))

        zeros = [tf.zeros(weight.shape) for weight in self.trainable_weights]
        start = (tf.constant(0), tf.constant(0.0), *zeros)
        _, loss, *gradients = tf.while_loop(lambda number, *_: number < size // chunk, more, start)
        return loss, gradients
