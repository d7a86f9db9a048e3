"""The sources of the methods: what ``cite=`` refers to."""

SOURCES: dict[str, str] = {
    "anil2019": "Anil, Gupta, Koren, Singer (2019). Memory-efficient adaptive optimization. NeurIPS. arXiv:1901.11150.",
    "baydin2018": "Baydin, Cornish, Rubio, Schmidt, Wood (2018). Online learning rate adaptation with hypergradient "
    "descent. ICLR. arXiv:1703.04782.",
    "bernstein2018": "Bernstein, Wang, Azizzadenesheli, Anandkumar (2018). signSGD: compressed optimisation for "
    "non-convex problems. ICML. arXiv:1802.04434.",
    "bottou2010": "Bottou (2010). Large-scale machine learning with stochastic gradient descent. COMPSTAT.",
    "brock2021": "Brock, De, Smith, Simonyan (2021). High-performance large-scale image recognition without "
    "normalization. ICML. arXiv:2102.06171.",
    "chandra2022": "Chandra, Xie, Ragan-Kelley, Meijer (2022). Gradient descent: the ultimate optimizer. NeurIPS. "
    "arXiv:1909.13371.",
    "chen2023": "Chen et al. (2023). Symbolic discovery of optimization algorithms. arXiv:2302.06675.",
    "defazio2023": "Defazio, Mishchenko (2023). Learning-rate-free learning by D-Adaptation. ICML. arXiv:2301.07733.",
    "defazio2024": "Defazio et al. (2024). The road less scheduled. NeurIPS. arXiv:2405.15682.",
    "dozat2016": "Dozat (2016). Incorporating Nesterov momentum into Adam. ICLR workshop.",
    "duchi2011": "Duchi, Hazan, Singer (2011). Adaptive subgradient methods for online learning and stochastic "
    "optimization. JMLR 12.",
    "ginsburg2019": "Ginsburg et al. (2019). Stochastic gradient methods with layer-wise adaptive moments for "
    "training of deep networks. arXiv:1905.11286.",
    "graves2013": "Graves (2013). Generating sequences with recurrent neural networks. arXiv:1308.0850.",
    "hinton2012": "Hinton (2012). Neural networks for machine learning, lecture 6.5: rmsprop.",
    "kingma2015": "Kingma, Ba (2015). Adam: a method for stochastic optimization. ICLR. arXiv:1412.6980.",
    "lee2024": "Lee, Kang, Kim, Lee (2024). Grokfast: accelerated grokking by amplifying slow gradients. "
    "arXiv:2405.20233.",
    "liang2024": "Liang, Chen, Liu, Liu (2024). Cautious optimizers: improving training with one line of code. "
    "arXiv:2411.16085.",
    "liu2020": "Liu et al. (2020). On the variance of the adaptive learning rate and beyond. ICLR. arXiv:1908.03265.",
    "loshchilov2017": "Loshchilov, Hutter (2017). SGDR: stochastic gradient descent with warm restarts. ICLR. "
    "arXiv:1608.03983.",
    "loshchilov2019": "Loshchilov, Hutter (2019). Decoupled weight decay regularization. ICLR. arXiv:1711.05101.",
    "lucas2019": "Lucas, Sun, Zemel, Grosse (2019). Aggregated momentum: stability through passive damping. ICLR. "
    "arXiv:1804.00325.",
    "luo2023": "Luo et al. (2023). CAME: confidence-guided adaptive memory efficient optimization. ACL. "
    "arXiv:2307.02047.",
    "ma2019": "Ma, Yarats (2019). Quasi-hyperbolic momentum and Adam for deep learning. ICLR. arXiv:1810.06801.",
    "mishchenko2023": "Mishchenko, Defazio (2023). Prodigy: an expeditiously adaptive parameter-free learner. "
    "arXiv:2306.06101.",
    "pagliardini2024": "Pagliardini, Ablin, Grangier (2024). The AdEMAMix optimizer: better, faster, older. "
    "arXiv:2409.03137.",
    "polyak1964": "Polyak (1964). Some methods of speeding up the convergence of iteration methods. USSR Comput. "
    "Math. Math. Phys. 4.",
    "polyak1992": "Polyak, Juditsky (1992). Acceleration of stochastic approximation by averaging. SIAM J. Control "
    "Optim. 30.",
    "reddi2018": "Reddi, Kale, Kumar (2018). On the convergence of Adam and beyond. ICLR. arXiv:1904.09237.",
    "riedmiller1993": "Riedmiller, Braun (1993). A direct adaptive method for faster backpropagation learning: the "
    "RPROP algorithm. ICNN.",
    "robbins1951": "Robbins, Monro (1951). A stochastic approximation method. Ann. Math. Statist. 22.",
    "ruder2016": "Ruder (2016). An overview of gradient descent optimization algorithms. arXiv:1609.04747.",
    "shazeer2018": "Shazeer, Stern (2018). Adafactor: adaptive learning rates with sublinear memory cost. ICML. "
    "arXiv:1804.04235.",
    "sutskever2013": "Sutskever, Martens, Dahl, Hinton (2013). On the importance of initialization and momentum in "
    "deep learning. ICML.",
    "taniguchi2024": "Taniguchi et al. (2024). ADOPT: modified Adam can converge with any beta2 with the optimal rate. "
    "NeurIPS. arXiv:2411.02853.",
    "wortsman2023": "Wortsman et al. (2023). Stable and low-precision training for large-scale vision-language models. "
    "NeurIPS. arXiv:2304.13013.",
    "xie2022": "Xie, Zhou, Li, Lin, Yan (2022). Adan: adaptive Nesterov momentum algorithm for faster optimizing deep "
    "models. arXiv:2208.06677.",
    "yong2020": "Yong, Huang, Hua, Zhang (2020). Gradient centralization: a new optimization technique for deep neural "
    "networks. ECCV. arXiv:2004.01461.",
    "you2017": "You, Gitman, Ginsburg (2017). Large batch training of convolutional networks. arXiv:1708.03888.",
    "you2020": "You et al. (2020). Large batch optimization for deep learning: training BERT in 76 minutes. ICLR. "
    "arXiv:1904.00962.",
    "yuan2024": "Yuan et al. (2024). MARS: unleashing the power of variance reduction for training large models. "
    "arXiv:2411.10438.",
    "zaheer2018": "Zaheer, Reddi, Sachan, Kale, Kumar (2018). Adaptive methods for nonconvex optimization. NeurIPS.",
    "zeiler2012": "Zeiler (2012). ADADELTA: an adaptive learning rate method. arXiv:1212.5701.",
    "zhang2019": "Zhang, Lucas, Hinton, Ba (2019). Lookahead optimizer: k steps forward, 1 step back. NeurIPS. "
    "arXiv:1907.08610.",
    "zhuang2020": "Zhuang et al. (2020). AdaBelief optimizer: adapting stepsizes by the belief in observed gradients. "
    "NeurIPS. arXiv:2010.07468.",
}
