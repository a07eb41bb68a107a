"""Small models of every shape that the config, the order and the store paths depend on.

The same builders serve Keras 3 and tf_keras; tfmot's need tf_keras.
"""

import functools

import numpy as np


def common(keras):
    """Name -> builder, and the custom classes that loading needs."""
    L, S = keras.layers, keras.Sequential  # noqa: N806
    tf_keras = keras.__name__ == "tf_keras"
    builders = {}

    def inp(*shape):
        return keras.Input(shape)

    def model(builder):
        builders[builder.__name__] = builder
        return builder

    @model
    def dense_bn():
        return S([inp(4), L.Dense(3), L.BatchNormalization(), L.Dense(2)])

    @model
    def frozen_layers():
        m = dense_bn()
        m.layers[0].trainable = m.layers[1].trainable = False
        return m

    @model
    def frozen_model():
        m = dense_bn()
        m.trainable = False
        return m

    @model
    def frozen_sequential_with_a_thawed_layer():
        m = frozen_model()
        m.layers[0].trainable = True
        return m

    @model
    def frozen_functional_with_a_thawed_layer():
        i = inp(4)
        m = keras.Model(i, L.Dense(2)(L.Dense(3)(i)))
        m.trainable = False
        m.layers[1].trainable = True
        return m

    @model
    def nested():
        inner = S([inp(4), L.Dense(3), L.BatchNormalization(), L.Dense(3)], name="inner")
        return S([inp(4), inner, L.Dense(2)])

    @model
    def nested_frozen_dense():
        m = nested()
        m.layers[0].layers[0].trainable = False
        return m

    @model
    def nested_frozen_bn():
        m = nested()
        m.layers[0].layers[1].trainable = False
        return m

    @model
    def nested_frozen():
        m = nested()
        m.layers[0].trainable = False
        return m

    @model
    def nested_frozen_with_a_thawed_layer():
        m = nested_frozen()
        m.layers[0].layers[2].trainable = True
        return m

    @model
    def nested_functional_frozen_with_a_thawed_layer():
        i = inp(4)
        x = L.BatchNormalization()(L.Dense(3)(i))
        inner = keras.Model(i, L.Dense(3)(x), name="inner")
        i = inp(4)
        m = keras.Model(i, L.Dense(2)(inner(i)))
        inner.trainable = False
        inner.layers[-1].trainable = True
        return m

    @model
    def nested_twice():
        a = S([inp(4), L.Dense(3), L.BatchNormalization()], name="a")
        i = inp(4)
        b = keras.Model(i, L.Dense(4)(a(i)), name="b")
        b.layers[-1].trainable = False
        return S([inp(4), b, L.BatchNormalization(), L.Dense(2)])

    @model
    def bidirectional():
        first = L.Bidirectional(L.LSTM(3, return_sequences=True))
        return S(
            [
                inp(5, 4),
                first,
                L.Bidirectional(L.GRU(2), backward_layer=L.GRU(2, go_backwards=True)),
            ]
        )

    @model
    def bidirectional_frozen():
        m = bidirectional()
        m.layers[0].trainable = False
        if not tf_keras:  # it writes the config that the layer was made from, without this flag
            m.layers[1].forward_layer.trainable = False
        return m

    @model
    def bidirectional_nested_frozen():
        inner = bidirectional_frozen()
        return S([inp(5, 4), inner, L.Dense(1)])

    @model
    def timedistributed():
        inner = S([inp(3), L.Dense(2), L.BatchNormalization()], name="td_inner")
        bi = L.TimeDistributed(L.Bidirectional(L.LSTM(2)))
        i, j = inp(5, 4), inp(2, 5, 4)
        x = L.TimeDistributed(inner)(L.TimeDistributed(L.Dense(3))(i))
        return keras.Model([i, j], [x, bi(j)])

    @model
    def rnns():
        cells = [L.LSTMCell(2), L.GRUCell(3), L.LSTMCell(2)]
        return S(
            [
                inp(5, 4),
                L.LSTM(3, return_sequences=True),
                L.GRU(3, return_sequences=True),
                L.SimpleRNN(2, return_sequences=True),
                L.RNN(cells, return_sequences=True),
                L.RNN(L.SimpleRNNCell(2)),
            ]
        )

    @model
    def rnn_frozen():
        lstm = L.LSTM(3, return_sequences=True, trainable=False)
        return S([inp(5, 4), S([inp(5, 4), lstm, L.GRU(3)], name="inner"), L.Dense(1)])

    @model
    def convlstm():
        return S([inp(3, 6, 6, 1), L.ConvLSTM2D(2, 3), L.Flatten(), L.Dense(1)])

    @model
    def attention():
        i = inp(6, 8)
        x = L.LayerNormalization()(L.MultiHeadAttention(2, 4)(i, i))
        return keras.Model(i, L.Dense(1)(x))

    @model
    def attention_frozen():
        i = inp(6, 8)
        a = L.MultiHeadAttention(2, 4)
        x = a(i, i)
        a.trainable = False
        n = keras.Model(i, L.Dense(8)(x), name="inner")
        i = inp(6, 8)
        return keras.Model(i, L.Dense(1)(n(i)))

    @model
    def shared_in_timedistributed():
        d = L.Dense(10, name="shared")
        a, b = inp(3, 5), inp(5)
        return keras.Model([a, b], [L.TimeDistributed(d)(a), d(b)])

    @model
    def shared_in_timedistributed_nested():
        n = shared_in_timedistributed()
        a, b = inp(3, 5), inp(5)
        x, y = n([a, b])
        return keras.Model([a, b], [L.Dense(1)(x), y])

    @model
    def siamese():
        base = S([inp(6), L.Dense(4)], name="base")
        a, b = inp(6), inp(6)
        return keras.Model([a, b], L.Dense(1)(L.Subtract()([base(a), base(b)])))

    @model
    def branches():
        i = inp(8, 8, 3)
        a = L.Conv2D(2, 3, padding="same")(i)
        b = L.SeparableConv2D(2, 3, padding="same")(i)
        x = L.ReLU()(L.BatchNormalization()(L.Concatenate()([a, b])))
        x = L.Flatten()(L.PReLU()(L.DepthwiseConv2D(3)(x)))
        return keras.Model(i, [L.Dense(2, name="z")(x), L.Dense(3, name="a")(x)])

    @model
    def clones():
        def one(name):
            return S([inp(4), L.Dense(4, name="d"), L.BatchNormalization(name="n")], name=name)

        return S([inp(4), one("one"), one("two")])

    @model
    def activation_layer():
        m = S([inp(4), L.Dense(3, activation=L.PReLU()), L.Dense(2)])
        m(np.zeros((1, 4), "float32"))  # Keras 3 builds the activation when it is called
        return m

    @model
    def preprocessing():
        norm = L.Normalization(mean=[0.0, 1, 2, 3], variance=[1.0, 1, 1, 1])
        noise = L.GaussianNoise(0.1)
        return S([inp(4), norm, L.Rescaling(2.0), noise, L.Dense(2), L.Dropout(0.5)])

    class Ext(keras.Model):
        pass

    @model
    def functional_subclass():
        i = inp(4)
        return Ext(i, L.Dense(2)(L.Dense(3)(i)), name="ext")

    return builders, {"Ext": Ext}


def tfmot_models(keras, tfmot):
    """Name -> builder of wrapped models."""
    L, S = keras.layers, keras.Sequential  # noqa: N806
    builders = {}
    prune = functools.partial(
        tfmot.sparsity.keras.prune_low_magnitude,
        pruning_schedule=tfmot.sparsity.keras.ConstantSparsity(0.5, 0),
    )
    linear = tfmot.clustering.keras.CentroidInitialization.LINEAR
    cluster = functools.partial(
        tfmot.clustering.keras.cluster_weights, number_of_clusters=4, cluster_centroids_init=linear
    )
    quantization = tfmot.quantization.keras

    def inp(*shape):
        return keras.Input(shape)

    def model(builder):
        builders[builder.__name__] = builder
        return builder

    @model
    def pruned_sequential():
        return prune(S([inp(10), L.Dense(6), L.ReLU(), L.Dense(3)]))

    @model
    def pruned_conv():
        layers = [L.Conv2D(4, 3), L.BatchNormalization(), L.DepthwiseConv2D(3)]
        layers += [L.SeparableConv2D(3, 3), L.Flatten(), L.Dense(2)]
        return prune(S([inp(8, 8, 3), *layers]))

    @model
    def pruned_functional():
        i = inp(10)
        a, b = L.Dense(4)(i), L.Dense(4)(i)
        return prune(keras.Model(i, L.Dense(2)(L.Concatenate()([a, b]))))

    @model
    def pruned_recurrent():
        cells = L.RNN([L.LSTMCell(2), L.GRUCell(2)])
        lstm, gru = L.LSTM(4, return_sequences=True), L.GRU(3, return_sequences=True)
        return prune(S([inp(5), L.Embedding(11, 6), lstm, gru, cells]))

    @model
    def pruned_attention():
        i = inp(6, 8)
        return prune(keras.Model(i, L.Dense(1)(L.MultiHeadAttention(2, 4)(i, i))))

    @model
    def pruned_nested():
        layers = [L.Dense(3), L.BatchNormalization(), L.Dense(3)]
        return S([inp(4), prune(S([inp(4), *layers], name="inner")), L.Dense(2)])

    @model
    def pruned_nested_frozen_layer():
        m = pruned_nested()
        m.layers[0].layers[0].trainable = False
        return m

    @model
    def pruned_nested_frozen():
        m = pruned_nested()
        m.layers[0].trainable = False
        return m

    @model
    def pruned_frozen():
        m = pruned_conv()
        m.layers[0].trainable = m.layers[1].trainable = False
        return m

    @model
    def clustered():
        layers = [L.Conv2D(4, 3), L.BatchNormalization(), L.SeparableConv2D(3, 3), L.Flatten()]
        return cluster(S([inp(8, 8, 3), *layers, L.Dense(5), L.Dense(2)]))

    @model
    def clustered_per_channel():
        layers = [L.Conv2D(4, 3), L.Flatten(), L.Dense(5)]
        return cluster(S([inp(8, 8, 3), *layers]), cluster_per_channel=True)

    @model
    def clustered_sparse():
        return cluster(S([inp(6), L.Dense(8), L.Dense(5)]), preserve_sparsity=True)

    @model
    def clustered_recurrent():
        cells = L.RNN([L.LSTMCell(2), L.GRUCell(2)])
        lstm = L.LSTM(4, return_sequences=True)
        both = L.Bidirectional(L.GRU(3, return_sequences=True))
        return cluster(S([inp(5), L.Embedding(11, 6), lstm, both, cells]))

    @model
    def clustered_attention():
        i = inp(6, 8)
        return cluster(keras.Model(i, L.Dense(1)(L.MultiHeadAttention(2, 4)(i, i))))

    @model
    def clustered_nested_frozen_layer():
        layers = [L.Dense(3), L.BatchNormalization(), L.Dense(3)]
        inner = cluster(S([inp(4), *layers], name="inner"))
        m = S([inp(4), inner, L.Dense(2)])
        inner.layers[0].trainable = False
        return m

    @model
    def quantized():
        i = inp(8, 8, 3)
        a = L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(i)))
        x = L.Add()([a, L.Conv2DTranspose(4, 3, padding="same")(i)])
        x = L.Dense(3, activation="sigmoid")(L.GlobalAveragePooling2D()(x))
        return quantization.quantize_model(keras.Model(i, L.Dense(2, activation="softmax")(x)))

    @model
    def quantized_separable():
        i = inp(8, 8, 3)
        x = L.Activation("relu")(L.SeparableConv2D(4, 3)(i))
        x = L.DepthwiseConv2D(3)(x)
        m = keras.Model(i, L.Dense(2, activation="tanh")(L.Flatten()(x)))
        return quantization.quantize_model(m)

    @model
    def quantized_frozen_layer():
        m = quantization.quantize_model(S([inp(6), L.Dense(4), L.Dense(3)]))
        m.layers[1].trainable = False
        return m

    @model
    def annotated():
        return quantization.quantize_annotate_model(S([inp(6), L.Dense(4), L.Dense(3)]))

    def preserving(scheme):
        m = S([inp(8, 8, 3), L.Conv2D(4, 3), L.Flatten(), L.Dense(5, activation="relu")])
        m = tfmot.clustering.keras.strip_clustering(cluster(m))
        for layer in m.layers:
            values = layer.get_weights()
            if values:
                values[0] = np.where(abs(values[0]) < 0.05, 0, values[0])
                layer.set_weights(values)
        return quantization.quantize_apply(quantization.quantize_annotate_model(m), scheme)

    combine = tfmot.experimental.combine

    @model
    def cluster_preserving():
        return preserving(combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=False))

    @model
    def sparsity_and_cluster_preserving():
        return preserving(combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=True))

    @model
    def sparsity_preserving():
        return preserving(combine.Default8BitPrunePreserveQuantizeScheme())

    return builders
